/*
 * The DNS relay: sockets inside containers' network namespaces, questions up to the supervisor, answers down. UDP and TCP on the same
 * address; TCP's length prefix (RFC 1035, 4.2.2) is taken off and put on here.
 */
#include "scope.h"
#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define MESSAGE_MOST 65535
#define STREAMS_MOST 256
#define STREAM_IDLE_MS 5000
#define BACKLOG 16
/* Questions are not read while the supervisor has this much to read already; UDP clients ask again. */
#define UNREAD_MOST (4u * 1024 * 1024)
#define QUESTIONS_AT_ONCE 64

struct dns_listener {
    struct serve *serve;
    char *token;
    uint32_t number; /* names it in peers; never used twice */
    struct watch udp;
    struct watch tcp;
    struct dns_listener *next;
};

struct dns_stream {
    struct dns_listener *listener; /* NULL: free */
    uint32_t number;
    struct watch watch;
    struct timer idle;
    struct buffer in;
    struct buffer out;
};

struct dns {
    uint32_t last_number;
    uint32_t stream_count;
    struct dns_listener *listeners;
    struct dns_stream streams[STREAMS_MOST];
};

/* What the supervisor gives back unread: port 0 is a TCP stream. */
struct dns_peer {
    uint32_t number; /* of the listener or of the stream */
    uint32_t address;
    uint16_t port;
    uint16_t stream; /* index */
};

static void close_listener(struct serve *serve, struct dns_listener *listener);
static int open_sockets(struct serve *serve, struct dns_listener *listener, const char *path, const struct sockaddr_in *address, struct error *error);
static void on_datagram(struct watch *watch, uint32_t events);
static void on_accept(struct watch *watch, uint32_t events);
static void on_stream(struct watch *watch, uint32_t events);
static void on_idle(struct timer *timer);
static bool hand_up_questions(struct dns_stream *stream);
static void write_stream(struct dns_stream *stream);
static void close_stream(struct dns_stream *stream);
static void question(struct serve *serve, const char *token, const struct dns_peer *peer, const unsigned char *message, size_t length);

static struct dns_listener *find_token(const struct dns *dns, const char *token)
{
    for (struct dns_listener *listener = dns ? dns->listeners : NULL; listener; listener = listener->next)
        if (!strcmp(listener->token, token))
            return listener;
    return NULL;
}

int request_dns_open(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error)
{
    scope_mem char *path = take_text(fields);
    scope_mem char *token = take_text(fields);
    scope_mem char *host = take_text(fields);
    uint32_t port = take_u32(fields);
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct dns_listener *listener;

    if (!fields_done(fields))
        return malformed(error);
    if (port == 0 || port > 65535 || inet_pton(AF_INET, host, &address.sin_addr) != 1)
        return fail_with(error, EINVAL, "address %s:%u", host, port);
    address.sin_port = htons((uint16_t)port);
    if (!serve->dns)
        serve->dns = calloc(1, sizeof(*serve->dns));
    listener = calloc(1, sizeof(*listener));
    if (!serve->dns || !listener) {
        free(listener);
        return fail_with(error, ENOMEM, "dns");
    }
    if (find_token(serve->dns, token))
        close_listener(serve, find_token(serve->dns, token));
    *listener = (struct dns_listener){.serve = serve, .number = ++serve->dns->last_number, .udp = {.fd = -1}, .tcp = {.fd = -1}};
    if (open_sockets(serve, listener, path, &address, error)) {
        free(listener);
        return -1;
    }
    listener->token = token;
    token = NULL;
    listener->next = serve->dns->listeners;
    serve->dns->listeners = listener;
    serve_ok(serve, header->id, header->type);
    return 0;
}

static int open_bound(int type, const struct sockaddr_in *address)
{
    scope_fd int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int yes = 1;

    if (fd < 0)
        return -1;
    if (type == SOCK_STREAM)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) || (type == SOCK_STREAM && listen(fd, BACKLOG)))
        return -1;
    return take_fd(&fd);
}

/* A socket belongs to the namespace it was made in, for ever; only making it needs to be there. */
static int open_sockets(struct serve *serve, struct dns_listener *listener, const char *path, const struct sockaddr_in *address, struct error *error)
{
    scope_fd int udp = -1;
    scope_fd int tcp = -1;

    if (network_enter(serve, path, error))
        return -1;
    udp = open_bound(SOCK_DGRAM, address);
    tcp = udp < 0 ? -1 : open_bound(SOCK_STREAM, address);
    if (tcp < 0)
        fail(error, "DNS at %s", inet_ntoa(address->sin_addr));
    network_leave(serve, path);
    if (tcp < 0)
        return -1;
    listener->udp = (struct watch){.ready = on_datagram, .owner = listener};
    listener->tcp = (struct watch){.ready = on_accept, .owner = listener};
    loop_watch(&serve->loop, &listener->udp, take_fd(&udp), EPOLLIN);
    loop_watch(&serve->loop, &listener->tcp, take_fd(&tcp), EPOLLIN);
    return 0;
}

int request_dns_close(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error)
{
    scope_mem char *token = take_text(fields);
    struct dns_listener *listener;

    if (!fields_done(fields))
        return malformed(error);
    listener = find_token(serve->dns, token);
    if (listener)
        close_listener(serve, listener);
    serve_ok(serve, header->id, header->type);
    return 0;
}

static void close_listener(struct serve *serve, struct dns_listener *listener)
{
    struct dns_listener **at = &serve->dns->listeners;

    for (int i = 0; i < STREAMS_MOST; i++)
        if (serve->dns->streams[i].listener == listener)
            close_stream(&serve->dns->streams[i]);
    while (*at != listener)
        at = &(*at)->next;
    *at = listener->next;
    loop_close_watch(&serve->loop, &listener->udp);
    loop_close_watch(&serve->loop, &listener->tcp);
    free(listener->token);
    free(listener);
}

static void on_datagram(struct watch *watch, uint32_t events)
{
    static unsigned char message[MESSAGE_MOST];
    struct dns_listener *listener = watch->owner;

    (void)events;
    for (int i = 0; i < QUESTIONS_AT_ONCE; i++) {
        struct sockaddr_in from = {0};
        socklen_t size = sizeof(from);
        ssize_t count = recvfrom(watch->fd, message, sizeof(message), MSG_DONTWAIT, (struct sockaddr *)&from, &size);
        struct dns_peer peer = {.number = listener->number, .address = from.sin_addr.s_addr, .port = from.sin_port};

        if (count < 0)
            return;
        if (count && channel_pending(&listener->serve->channel) < UNREAD_MOST)
            question(listener->serve, listener->token, &peer, message, (size_t)count);
    }
}

static void question(struct serve *serve, const char *token, const struct dns_peer *peer, const unsigned char *message, size_t length)
{
    size_t place = frame_begin(&serve->channel.out, 0, SERVE_DNS_QUERY);

    put_text(&serve->channel.out, token);
    put_bytes(&serve->channel.out, peer, sizeof(*peer));
    put_bytes(&serve->channel.out, message, length);
    frame_end(&serve->channel.out, place);
    serve_flush(serve);
}

static struct dns_stream *free_stream(struct dns *dns)
{
    for (int i = 0; i < STREAMS_MOST; i++)
        if (!dns->streams[i].listener)
            return &dns->streams[i];
    return NULL;
}

static void on_accept(struct watch *watch, uint32_t events)
{
    struct dns_listener *listener = watch->owner;
    struct dns *dns = listener->serve->dns;
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct dns_stream *stream = free_stream(dns);

    (void)events;
    if (fd < 0)
        return;
    if (!stream) {
        close(fd);
        return;
    }
    stream->listener = listener;
    stream->number = ++dns->last_number;
    stream->watch = (struct watch){.ready = on_stream, .owner = stream};
    stream->idle.fire = on_idle;
    stream->idle.owner = stream;
    loop_watch(&listener->serve->loop, &stream->watch, fd, EPOLLIN);
    loop_after(&listener->serve->loop, &stream->idle, STREAM_IDLE_MS);
}

static void on_idle(struct timer *timer)
{
    close_stream(timer->owner);
}

static void on_stream(struct watch *watch, uint32_t events)
{
    struct dns_stream *stream = watch->owner;
    unsigned char *place;
    ssize_t count;

    if (events & EPOLLOUT) {
        write_stream(stream);
        return;
    }
    place = buffer_reserve(&stream->in, 4096);
    count = place ? recv(watch->fd, place, 4096, MSG_DONTWAIT) : 0;
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count > 0)
        stream->in.length += (size_t)count;
    if (count <= 0 || !hand_up_questions(stream))
        close_stream(stream);
    else
        loop_after(&stream->listener->serve->loop, &stream->idle, STREAM_IDLE_MS);
}

/* Returns false for a stream that is no DNS. */
static bool hand_up_questions(struct dns_stream *stream)
{
    struct serve *serve = stream->listener->serve;
    struct dns_peer peer = {.number = stream->number, .stream = (uint16_t)(stream - serve->dns->streams)};

    while (stream->in.length >= 2) {
        const unsigned char *bytes = stream->in.bytes;
        size_t length = (size_t)bytes[0] << 8 | bytes[1];

        if (!length || channel_pending(&serve->channel) >= UNREAD_MOST)
            return false;
        if (stream->in.length < length + 2)
            return true;
        question(serve, stream->listener->token, &peer, bytes + 2, length);
        buffer_drop_front(&stream->in, length + 2);
    }
    return true;
}

static void answer_datagram(struct dns *dns, const struct dns_peer *peer, const unsigned char *message, uint32_t length)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = peer->address, .sin_port = peer->port};

    for (struct dns_listener *listener = dns->listeners; listener; listener = listener->next)
        if (listener->number == peer->number)
            sendto(listener->udp.fd, message, length, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof(to));
}

static void answer_stream(struct dns *dns, const struct dns_peer *peer, const unsigned char *message, uint32_t length)
{
    struct dns_stream *stream = peer->stream < STREAMS_MOST ? &dns->streams[peer->stream] : NULL;
    unsigned char prefix[2] = {(unsigned char)(length >> 8), (unsigned char)length};

    if (!stream || !stream->listener || stream->number != peer->number || length > MESSAGE_MOST)
        return;
    buffer_append(&stream->out, prefix, sizeof(prefix));
    buffer_append(&stream->out, message, length);
    write_stream(stream);
}

int request_dns_answer(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error)
{
    uint32_t peer_length, length;
    const unsigned char *peer_bytes = take_bytes(fields, &peer_length);
    const unsigned char *message = take_bytes(fields, &length);
    struct dns_peer peer;

    (void)header;
    (void)error;
    /* No reply, so no error either: a peer that went meanwhile is nobody's fault. */
    if (!fields_done(fields) || peer_length != sizeof(peer) || !serve->dns)
        return 0;
    memcpy(&peer, peer_bytes, sizeof(peer));
    if (peer.port)
        answer_datagram(serve->dns, &peer, message, length);
    else
        answer_stream(serve->dns, &peer, message, length);
    return 0;
}

static void write_stream(struct dns_stream *stream)
{
    struct loop *loop = &stream->listener->serve->loop;

    while (stream->out.length) {
        ssize_t count = send(stream->watch.fd, stream->out.bytes, stream->out.length, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (count < 0 && errno == EAGAIN)
            break;
        if (count < 0 && errno != EINTR) {
            close_stream(stream);
            return;
        }
        if (count > 0)
            buffer_drop_front(&stream->out, (size_t)count);
    }
    loop_change(loop, &stream->watch, stream->out.length ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void close_stream(struct dns_stream *stream)
{
    struct loop *loop = &stream->listener->serve->loop;

    loop_close_watch(loop, &stream->watch);
    timer_cancel(&stream->idle);
    buffer_free(&stream->in);
    buffer_free(&stream->out);
    stream->listener = NULL;
}
