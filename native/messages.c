/* What launcher and child tell each other: one SOCK_SEQPACKET message each, so a reader never sees half of one. */
#include "child.h"
#include "scope.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct wire_message {
    uint32_t kind;
    int32_t number;
    int32_t op_index;
    int32_t op;
    char text[ERROR_TEXT_MAX];
};

union control {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
};

static int received_descriptor(struct msghdr *message);

int send_message(int sync, enum launch_message_kind kind, int fd, const struct error *error)
{
    struct wire_message wire = { .kind = kind, .op_index = -1 };
    struct iovec part = { .iov_base = &wire, .iov_len = sizeof(wire) };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    union control control;

    if (error) {
        wire.number = error->number;
        wire.op_index = error->op_index;
        wire.op = error->op;
        memcpy(wire.text, error->text, sizeof(wire.text));
    }
    if (fd >= 0) {
        memset(&control, 0, sizeof(control));
        message.msg_control = &control;
        message.msg_controllen = sizeof(control.room);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
    }
    ssize_t sent;
    do
        sent = sendmsg(sync, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -1 : 0;
}

int launch_read(int sync, struct launch_message *result, struct error *error)
{
    struct wire_message wire;
    union control control;
    struct iovec part = { .iov_base = &wire, .iov_len = sizeof(wire) };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                              .msg_controllen = sizeof(control.room) };
    ssize_t length;

    memset(&wire, 0, sizeof(wire));
    memset(&control, 0, sizeof(control));
    do
        length = recvmsg(sync, &message, MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    *result = (struct launch_message){ .kind = LAUNCH_DONE, .fd = -1 };
    /* The child's end is gone with words of ours unread: the same as end of file. */
    if (length == 0 || (length < 0 && errno == ECONNRESET))
        return 0;
    if (length < 0)
        return fail(error, "reading from the child");
    scope_fd int fd = received_descriptor(&message);
    if (length != (ssize_t)sizeof(wire) || wire.kind < LAUNCH_CONSOLE || wire.kind > LAUNCH_FAILED ||
        (wire.kind == LAUNCH_CONSOLE) != (fd >= 0))
        return fail_with(error, EPROTO, "the child sent something else");
    result->kind = (enum launch_message_kind)wire.kind;
    result->fd = take_fd(&fd);
    result->error.number = wire.number;
    result->error.op_index = wire.op_index;
    result->error.op = wire.op;
    memcpy(result->error.text, wire.text, sizeof(wire.text));
    result->error.text[sizeof(wire.text) - 1] = '\0';
    return 0;
}

static int received_descriptor(struct msghdr *message)
{
    int fd = -1;

    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control; control = CMSG_NXTHDR(message, control))
        if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS && control->cmsg_len == CMSG_LEN(sizeof(fd)))
            memcpy(&fd, CMSG_DATA(control), sizeof(fd));
    return fd;
}

int launch_release(int sync, struct error *error)
{
    return send_word(sync, WORD_RELEASE, error);
}

int send_word(int sync, unsigned int word, struct error *error)
{
    ssize_t sent;

    do
        sent = send(sync, &word, sizeof(word), MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? fail(error, "writing to the child") : 0;
}

int await_word(int sync, unsigned int word, struct error *error)
{
    unsigned int heard = 0;
    ssize_t length;

    do
        length = recv(sync, &heard, sizeof(heard), 0);
    while (length < 0 && errno == EINTR);
    if (length < 0)
        return fail(error, "waiting for the launcher");
    if (length != (ssize_t)sizeof(heard) || heard != word)
        return fail_with(error, EPIPE, "the launcher is gone");
    return 0;
}
