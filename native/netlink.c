/* SERVE_NETLINK: carries bytes. What they mean is the business of who sent them. */
#include "kernel.h"
#include "scope.h"
#include "serve.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* From linux/netlink.h, which not every C library's headers can include. */
struct kernel_sockaddr_nl {
    unsigned short family;
    unsigned short pad;
    uint32_t pid;
    uint32_t groups;
};
#define KERNEL_SOL_NETLINK 270
#define KERNEL_NETLINK_CAP_ACK 10
#define KERNEL_NETLINK_EXT_ACK 11
#define NETLINK_ROUTE_PROTOCOL 0
#define NETLINK_NETFILTER_PROTOCOL 12

/* A batch goes in one message, and every answer waits in the queue until the whole batch is done. */
#define SOCKET_BYTES (32 * 1024 * 1024)
#define ANSWER_LEAST 16384u

static int host_socket(struct serve *serve, uint32_t protocol);
static int open_socket(uint32_t protocol);
static int exchange(int fd, const unsigned char *batch, uint32_t length, struct buffer *answers, struct error *error);

int request_netlink(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error)
{
    scope_mem char *path = take_text(fields);
    uint32_t protocol = take_u32(fields);
    uint32_t length;
    const unsigned char *batch = take_bytes(fields, &length);
    struct buffer answers = {0};
    scope_fd int own = -1;
    int fd;
    int result;
    size_t place;

    if (!fields_done(fields))
        return malformed(error);
    if (protocol != NETLINK_ROUTE_PROTOCOL && protocol != NETLINK_NETFILTER_PROTOCOL)
        return fail_with(error, EPROTONOSUPPORT, "netlink protocol %u", protocol);
    if (!*path) {
        fd = host_socket(serve, protocol);
    } else {
        /* Not kept: a socket would keep the namespace alive after its container. */
        if (network_enter(serve, path, error))
            return -1;
        fd = own = open_socket(protocol);
        network_leave(serve, path);
    }
    if (fd < 0)
        return fail(error, "netlink socket");
    result = exchange(fd, batch, length, &answers, error);
    if (!result) {
        place = frame_begin(&serve->channel.out, header->id, SERVE_NETLINK | FRAME_REPLY);
        put_bytes(&serve->channel.out, answers.bytes, answers.length);
        frame_end(&serve->channel.out, place);
    }
    buffer_free(&answers);
    return result;
}

int network_enter(struct serve *serve, const char *path, struct error *error)
{
    scope_fd int wanted = -1;

    (void)serve;
    if (!*path)
        return 0;
    wanted = open(path, O_RDONLY | O_CLOEXEC);
    if (wanted < 0 || setns(wanted, CLONE_NEWNET))
        return fail(error, "network namespace %s", path);
    return 0;
}

void network_leave(struct serve *serve, const char *path)
{
    if (!*path || !setns(serve->host_network, CLONE_NEWNET))
        return;
    /* In the wrong namespace every later request would do harm. */
    perror("tscompose-core serve: back to the host's network namespace");
    abort();
}

static int host_socket(struct serve *serve, uint32_t protocol)
{
    int *kept = &serve->netlink_sockets[protocol == NETLINK_NETFILTER_PROTOCOL];

    if (*kept < 0)
        *kept = open_socket(protocol);
    return *kept;
}

static int open_socket(uint32_t protocol)
{
    struct kernel_sockaddr_nl address = {.family = AF_NETLINK};
    scope_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, (int)protocol);
    int yes = 1;
    int bytes = SOCKET_BYTES;

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
        return -1;
    setsockopt(fd, KERNEL_SOL_NETLINK, KERNEL_NETLINK_EXT_ACK, &yes, sizeof(yes));
    setsockopt(fd, KERNEL_SOL_NETLINK, KERNEL_NETLINK_CAP_ACK, &yes, sizeof(yes));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
    return take_fd(&fd);
}

/* Reads one answer; 0 when there is none (yet, for the kernel: ever). */
static ssize_t receive(int fd, struct buffer *answers)
{
    ssize_t size = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
    size_t room;
    unsigned char *place;
    ssize_t count;

    if (size < 0)
        return errno == EAGAIN ? 0 : -1;
    /* Room for more than the peek said: the kernel makes the parts of a dump as large as the reader's last buffer (netlink(7)). */
    room = (size_t)size > ANSWER_LEAST ? (size_t)size : ANSWER_LEAST;
    place = buffer_reserve(answers, room);
    if (!place) {
        errno = ENOMEM;
        return -1;
    }
    count = recv(fd, place, room, MSG_TRUNC | MSG_DONTWAIT);
    if (count > 0)
        answers->length += (size_t)count;
    return count;
}

/* rtnetlink and nfnetlink do the whole work inside send(2), so every answer is there when it returns; the rest of a dump is made
 * while it is read. */
static int exchange(int fd, const unsigned char *batch, uint32_t length, struct buffer *answers, struct error *error)
{
    struct kernel_sockaddr_nl kernel = {.family = AF_NETLINK};
    ssize_t count;

    if (sendto(fd, batch, length, 0, (struct sockaddr *)&kernel, sizeof(kernel)) != (ssize_t)length)
        return fail(error, "netlink send of %u bytes", length);
    while ((count = receive(fd, answers)) > 0 && answers->length <= FRAME_MAX - 64)
        ;
    if (count < 0)
        return fail(error, "netlink receive");
    return count ? fail_with(error, EMSGSIZE, "netlink answer") : 0;
}
