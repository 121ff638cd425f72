#include "serve.h"

#include "commands.h"
#include "kernel.h"
#include "launch.h"
#include "scope.h"
#include "title.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

static int open_serve(struct serve *serve, struct error *error);
static void on_request(struct watch *watch, uint32_t events);
static void handle_frame(void *owner, const struct frame_header *header, struct fields *fields);
static void on_child(struct watch *watch, uint32_t events);

static int request_hello(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error);

typedef int request_handler(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error);

static request_handler *const handlers[] = {
    [SERVE_HELLO] = request_hello,
    [SERVE_NETLINK] = request_netlink,
    [SERVE_SPAWN_SHIM] = request_spawn_shim,
    [SERVE_EXEC] = request_exec,
    [SERVE_SYNC] = request_sync,
    [SERVE_DNS_OPEN] = request_dns_open,
    [SERVE_DNS_CLOSE] = request_dns_close,
    [SERVE_DNS_ANSWER] = request_dns_answer,
    [SERVE_LOCK] = request_lock,
    [SERVE_UNLOCK] = request_unlock,
    [SERVE_REMOVE_CGROUPS] = request_remove_cgroups,
    [SERVE_REMOVE_TREE] = request_remove_tree,
};

int serve_main(int argc, char **argv)
{
    static struct serve serve;
    struct error error = {.op_index = -1};

    (void)argc;
    /* The supervisor's lock is among what is open here, and must not outlive it in a shim. */
    kernel_close_range(SERVE_FD + 1, ~0u);
    if (run_sealed(argv, &error) || open_serve(&serve, &error)) {
        fprintf(stderr, "tscompose-core serve: %s\n", error.text);
        return 1;
    }
    title_init(argv);
    loop_run(&serve.loop);
    return 0;
}

static int open_serve(struct serve *serve, struct error *error)
{
    sigset_t children;
    int signals;

    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, NULL);
    signal(SIGPIPE, SIG_IGN);
    /* What a killed exec helper leaves comes to us; the machine's PID 1 may be slow to reap it, and its container could not end meanwhile. */
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0 || loop_open(&serve->loop))
        return fail(error, "signalfd or epoll");
    fcntl(SERVE_FD, F_SETFD, FD_CLOEXEC);
    if (fcntl(SERVE_FD, F_SETFL, O_NONBLOCK))
        return fail(error, "descriptor %d, the supervisor's socket", SERVE_FD);
    serve->host_network = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    serve->netlink_sockets[0] = serve->netlink_sockets[1] = -1;
    serve->channel = (struct channel){.fd = SERVE_FD, .frame_max = FRAME_MAX};
    serve->channel_watch = (struct watch){.ready = on_request, .owner = serve};
    serve->child_watch = (struct watch){.ready = on_child, .owner = serve};
    if (serve->host_network < 0)
        return fail(error, "open /proc/self/ns/net");
    if (loop_watch(&serve->loop, &serve->channel_watch, SERVE_FD, EPOLLIN) || loop_watch(&serve->loop, &serve->child_watch, signals, EPOLLIN))
        return fail(error, "epoll");
    return 0;
}

static void on_request(struct watch *watch, uint32_t events)
{
    struct serve *serve = watch->owner;
    int state = 1;

    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        serve->reading = true;
        state = channel_read(&serve->channel, handle_frame, serve);
        serve->reading = false;
    }
    if (state <= 0)
        serve->loop.ended = true;
    else
        serve_flush(serve);
}

void serve_flush(struct serve *serve)
{
    uint32_t events = EPOLLIN;

    if (serve->reading || serve->loop.ended)
        return;
    if (channel_flush(&serve->channel)) {
        serve->loop.ended = true;
        return;
    }
    if (channel_pending(&serve->channel))
        events |= EPOLLOUT;
    loop_change(&serve->loop, &serve->channel_watch, events);
}

static void handle_frame(void *owner, const struct frame_header *header, struct fields *fields)
{
    struct serve *serve = owner;
    struct error error = {.op_index = -1};
    int result;

    if (header->type >= sizeof(handlers) / sizeof(*handlers) || !handlers[header->type])
        result = fail_with(&error, EPROTO, "unknown request %u", header->type);
    else
        result = handlers[header->type](serve, header, fields, &error);
    if (result)
        serve_error(serve, header->id, &error);
}

static int request_hello(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error)
{
    uint32_t version = take_u32(fields);
    size_t place;

    if (!fields_done(fields))
        return malformed(error);
    if (version != PROTOCOL_VERSION)
        return fail_with(error, EPROTO, "the supervisor speaks protocol %u, this program %u", version, PROTOCOL_VERSION);
    place = frame_begin(&serve->channel.out, header->id, SERVE_HELLO | FRAME_REPLY);
    put_u32(&serve->channel.out, PROTOCOL_VERSION);
    put_u32(&serve->channel.out, (uint32_t)getpid());
    frame_end(&serve->channel.out, place);
    return 0;
}

int malformed(struct error *error)
{
    return fail_with(error, EPROTO, "malformed request");
}

void serve_ok(struct serve *serve, uint32_t id, uint16_t type)
{
    frame_end(&serve->channel.out, frame_begin(&serve->channel.out, id, (uint16_t)(type | FRAME_REPLY)));
    serve_flush(serve);
}

void serve_value(struct serve *serve, uint32_t id, uint16_t type, uint32_t value)
{
    size_t place = frame_begin(&serve->channel.out, id, (uint16_t)(type | FRAME_REPLY));

    put_u32(&serve->channel.out, value);
    frame_end(&serve->channel.out, place);
    serve_flush(serve);
}

void serve_error(struct serve *serve, uint32_t id, const struct error *error)
{
    frame_error(&serve->channel.out, id, error->number, error->text);
    serve_flush(serve);
}

/* Jobs are known by their pipes and shims live their own lives; only execs want the exit status. */
static void on_child(struct watch *watch, uint32_t events)
{
    struct signalfd_siginfo info;
    int status;
    pid_t pid;

    (void)events;
    while (read(watch->fd, &info, sizeof(info)) == sizeof(info))
        ;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        exec_child_ended(watch->owner, pid, status);
}
