#include "shim.h"

#include "scope.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define SOCKET_NAME "shim.sock"
#define CLIENT_FRAME_MAX (128u * 1024)
/* A client that only looks on and has more than this waiting is dropped. */
#define ONLOOKER_MOST (1024u * 1024)
/* An owner of stdin with more than this waiting holds the container's output back. */
#define OWNER_MOST (256u * 1024)
/* More than this waiting for the container's stdin, and its owner is not read from. */
#define INPUT_MOST (64u * 1024)
/* At the end replies that nobody takes are waited for this long. */
#define LEAVE_MS 1000

static void on_connect(struct watch *watch, uint32_t events);
static void on_client(struct watch *watch, uint32_t events);
static void handle_frame(void *owner, const struct frame_header *header, struct fields *fields);
static void flush(struct client *client);
static void drop(struct client *client);
static void watch_client(struct client *client);
static void on_leave(struct timer *timer);
static void leave_if_done(struct shim *shim);

int clients_listen(struct shim *shim, struct error *error)
{
    /* Relative to the run folder: sun_path has room for 108 bytes only (unix(7)). */
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET_NAME};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask;
    int bound;

    if (fd < 0)
        return fail(error, "socket");
    unlink(SOCKET_NAME);
    mask = umask(0177);
    bound = bind(fd, (struct sockaddr *)&address, sizeof(address));
    umask(mask);
    if (bound || listen(fd, CLIENTS_MOST)) {
        close(fd);
        return fail(error, "bind " SOCKET_NAME);
    }
    shim->listener = (struct watch){.ready = on_connect, .owner = shim};
    return loop_watch(&shim->loop, &shim->listener, fd, EPOLLIN) ? fail(error, "epoll") : 0;
}

void clients_unlisten(struct shim *shim)
{
    unlink(SOCKET_NAME);
    loop_close_watch(&shim->loop, &shim->listener);
}

/* The folder and the socket are closed to others already; this holds even where somebody opened the folder. */
static bool may_connect(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) && (peer.uid == 0 || peer.uid == geteuid());
}

static void clear(struct client *client)
{
    struct shim *shim = client->shim;

    channel_free(&client->channel);
    *client = (struct client){.shim = shim, .watch = {.fd = -1}, .channel = {.fd = -1}};
}

static struct client *free_client(struct shim *shim)
{
    for (int i = 0; i < CLIENTS_MOST; i++) {
        if (shim->clients[i].gone)
            clear(&shim->clients[i]);
        if (!shim->clients[i].used)
            return &shim->clients[i];
    }
    return NULL;
}

static void on_connect(struct watch *watch, uint32_t events)
{
    struct shim *shim = watch->owner;
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct client *client = free_client(shim);

    (void)events;
    if (fd < 0)
        return;
    if (!client || !may_connect(fd)) {
        close(fd);
        return;
    }
    *client = (struct client){.shim = shim, .used = true, .channel = {.fd = fd, .frame_max = CLIENT_FRAME_MAX}};
    client->watch = (struct watch){.ready = on_client, .owner = client};
    loop_watch(&shim->loop, &client->watch, fd, EPOLLIN);
}

static void on_client(struct watch *watch, uint32_t events)
{
    struct client *client = watch->owner;
    struct shim *shim = client->shim;

    if (events & EPOLLOUT)
        flush(client);
    if (!client->gone && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && channel_read(&client->channel, handle_frame, client) <= 0)
        drop(client);
    if (client->gone)
        clear(client);
    stdio_unhold(shim);
    leave_if_done(shim);
}

/* Closes at once; on_client, or the next look for a free place, clears the rest. */
static void drop(struct client *client)
{
    struct shim *shim = client->shim;
    bool supervisor = client->supervisor;

    if (client->gone)
        return;
    loop_close_watch(&shim->loop, &client->watch);
    client->channel.fd = -1;
    client->gone = true;
    client->supervisor = client->attached = client->owner = client->told = false;
    for (int i = 0; i < PENDING_MOST; i++)
        if (shim->pending[i].client == client)
            shim->pending[i].client = NULL;
    stdio_unhold(shim);
    if (supervisor && !clients_have_supervisor(shim))
        revive_supervisor_lost(shim);
}

static void watch_client(struct client *client)
{
    struct shim *shim = client->shim;
    bool reading = !client->owner || shim->stdin_queue.length <= INPUT_MOST;
    uint32_t events = (reading ? (uint32_t)EPOLLIN : 0) | (channel_pending(&client->channel) ? (uint32_t)EPOLLOUT : 0);

    loop_change(&shim->loop, &client->watch, events);
}

static void flush(struct client *client)
{
    if (client->gone)
        return;
    if (channel_flush(&client->channel))
        drop(client);
    else if (!client->owner && channel_pending(&client->channel) > ONLOOKER_MOST)
        drop(client);
    else
        watch_client(client);
}

static void reply_ok(struct client *client, uint32_t id, uint16_t type)
{
    frame_end(&client->channel.out, frame_begin(&client->channel.out, id, (uint16_t)(type | FRAME_REPLY)));
    flush(client);
}

static void reply_error(struct client *client, uint32_t id, const struct error *error)
{
    char text[ERROR_TEXT_MAX + 64];

    snprintf(text, sizeof(text), "%d %d %d %s", error->op, error->op_index, error->number, error->text);
    frame_error(&client->channel.out, id, error->number, text);
    flush(client);
}

static bool remember(struct client *client, const struct frame_header *header)
{
    struct error error = {.op_index = -1};

    for (int i = 0; i < PENDING_MOST; i++) {
        struct pending *pending = &client->shim->pending[i];

        if (pending->client)
            continue;
        *pending = (struct pending){.client = client, .id = header->id, .type = header->type};
        return true;
    }
    fail_with(&error, EBUSY, "too many requests at once");
    reply_error(client, header->id, &error);
    return false;
}

void clients_reply(struct shim *shim, uint16_t type, const struct error *error)
{
    for (int i = 0; i < PENDING_MOST; i++) {
        struct pending waiting = shim->pending[i];

        if (!waiting.client || waiting.type != type)
            continue;
        shim->pending[i].client = NULL;
        if (error)
            reply_error(waiting.client, waiting.id, error);
        else
            reply_ok(waiting.client, waiting.id, type);
    }
}

static void send_status(struct client *client, uint32_t id, uint16_t type, const char *text, size_t length)
{
    size_t place = frame_begin(&client->channel.out, id, type);

    put_bytes(&client->channel.out, text, length);
    frame_end(&client->channel.out, place);
    flush(client);
}

static void hello(struct client *client, uint32_t id, bool supervisor)
{
    char text[STATUS_MAX];
    size_t length = status_text(&client->shim->status, text);

    client->told = true;
    if (supervisor) {
        client->supervisor = true;
        /* Those who look without a supervisor read the file: whoever damaged it, a new supervisor mends it. */
        status_write(AT_FDCWD, text, length);
        revive_supervisor_found(client->shim);
    }
    send_status(client, id, SHIM_HELLO | FRAME_REPLY, text, length);
}

static void attach(struct client *client, uint32_t id, uint32_t how)
{
    client->attached = true;
    client->owner = how == 2;
    client->shim->was_attached = true;
    reply_ok(client, id, SHIM_ATTACH);
    shim_release_if_wanted(client->shim);
}

static void answer(struct client *client, const struct frame_header *header, int result, const struct error *error)
{
    if (result)
        reply_error(client, header->id, error);
    else
        reply_ok(client, header->id, header->type);
}

static void set_policy(struct shim *shim, uint32_t policy, uint32_t most)
{
    shim->restart.policy = policy;
    shim->restart.most = most;
}

static void handle_frame(void *owner, const struct frame_header *header, struct fields *fields)
{
    struct client *client = owner;
    struct shim *shim = client->shim;
    struct error error = {.op_index = -1};
    uint32_t first, second, length;
    uint64_t grace;
    const unsigned char *bytes;

    switch (header->type) {
    case SHIM_HELLO:
        hello(client, header->id, take_u32(fields) == 1);
        return;
    case SHIM_PREPARE:
        if (remember(client, header))
            shim_prepare(shim);
        return;
    case SHIM_START:
        if (remember(client, header))
            shim_start(shim);
        return;
    case SHIM_SIGNAL:
        answer(client, header, shim_signal(shim, take_u32(fields), &error), &error);
        return;
    case SHIM_STOP:
        first = take_u32(fields);
        grace = take_u64(fields);
        if (!fields->bad && remember(client, header))
            shim_stop(shim, first, grace);
        return;
    case SHIM_POLICY:
        first = take_u32(fields);
        set_policy(shim, first, take_u32(fields));
        reply_ok(client, header->id, header->type);
        return;
    case SHIM_ATTACH:
        attach(client, header->id, take_u32(fields));
        return;
    case SHIM_STDIN:
        bytes = take_bytes(fields, &length);
        if (bytes && client->owner) {
            stdio_input(shim, bytes, length);
            watch_client(client);
        }
        return;
    case SHIM_RESIZE:
        first = take_u32(fields);
        second = take_u32(fields);
        stdio_resize(shim, first, second);
        return;
    case SHIM_PAUSE:
        answer(client, header, shim_pause(shim, take_u32(fields) == 1, &error), &error);
        return;
    case SHIM_QUIT:
        if (remember(client, header))
            shim_quit(shim);
        return;
    default:
        fail_with(&error, EPROTO, "unknown request %u", header->type);
        reply_error(client, header->id, &error);
    }
}

void clients_tell_status(struct shim *shim, const char *text, size_t length)
{
    for (int i = 0; i < CLIENTS_MOST; i++)
        if (shim->clients[i].told)
            send_status(&shim->clients[i], 0, SHIM_STATUS, text, length);
}

void clients_output(struct shim *shim, uint32_t stream, const unsigned char *bytes, size_t length)
{
    for (int i = 0; i < CLIENTS_MOST; i++) {
        struct client *client = &shim->clients[i];
        size_t place;

        if (!client->attached)
            continue;
        place = frame_begin(&client->channel.out, 0, SHIM_OUTPUT);
        put_u32(&client->channel.out, stream);
        put_bytes(&client->channel.out, bytes, length);
        frame_end(&client->channel.out, place);
        flush(client);
    }
}

bool clients_owner_behind(const struct shim *shim)
{
    for (int i = 0; i < CLIENTS_MOST; i++)
        if (shim->clients[i].owner && channel_pending(&shim->clients[i].channel) > OWNER_MOST)
            return true;
    return false;
}

void clients_resume_input(struct shim *shim)
{
    for (int i = 0; i < CLIENTS_MOST; i++)
        if (shim->clients[i].owner)
            watch_client(&shim->clients[i]);
}

bool clients_have_supervisor(const struct shim *shim)
{
    for (int i = 0; i < CLIENTS_MOST; i++)
        if (shim->clients[i].supervisor)
            return true;
    return false;
}

bool clients_any(const struct shim *shim)
{
    for (int i = 0; i < CLIENTS_MOST; i++)
        if (shim->clients[i].used && !shim->clients[i].gone)
            return true;
    return false;
}

void clients_leave(struct shim *shim)
{
    shim->leave_timer.fire = on_leave;
    shim->leave_timer.owner = shim;
    loop_after(&shim->loop, &shim->leave_timer, LEAVE_MS);
    leave_if_done(shim);
}

static bool owner_waits(const struct shim *shim)
{
    for (int i = 0; i < CLIENTS_MOST; i++)
        if (shim->clients[i].owner && channel_pending(&shim->clients[i].channel))
            return true;
    return false;
}

/* Whoever takes the container's output gets all of it, however slowly; others had their time. */
static void on_leave(struct timer *timer)
{
    struct shim *shim = timer->owner;

    if (owner_waits(shim))
        loop_after(&shim->loop, timer, LEAVE_MS);
    else
        shim->loop.ended = true;
}

static void leave_if_done(struct shim *shim)
{
    if (shim->phase != PHASE_OVER)
        return;
    for (int i = 0; i < CLIENTS_MOST; i++)
        if (shim->clients[i].used && !shim->clients[i].gone && channel_pending(&shim->clients[i].channel))
            return;
    shim->loop.ended = true;
}
