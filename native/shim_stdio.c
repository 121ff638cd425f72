#include "shim.h"

#include "kernel.h"
#include "scope.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#define READ_MOST 65536
/* A full disk is tried again this often. */
#define LOG_RETRY_MS 1000
/* How many more buffers are read from a stream whose time is over. */
#define LAST_READS 16

static void on_output(struct watch *watch, uint32_t events);
static bool read_stream(struct stream *stream);
static void end_stream(struct stream *stream);
static void on_stdin(struct watch *watch, uint32_t events);
static void write_stdin(struct shim *shim);
static void close_stdin(struct shim *shim);
static void on_log_retry(struct timer *timer);

void stdio_init(struct shim *shim)
{
    for (uint32_t i = 0; i < 2; i++)
        shim->streams[i] = (struct stream){.shim = shim, .fd = -1, .number = i + 1, .watch = {.fd = -1, .ready = on_output}};
    for (int i = 0; i < 2; i++)
        shim->streams[i].watch.owner = &shim->streams[i];
    shim->stdin_fd = -1;
    shim->stdin_watch = (struct watch){.fd = -1, .ready = on_stdin, .owner = shim};
    shim->log_timer = (struct timer){.fire = on_log_retry, .owner = shim};
}

int stdio_open(struct shim *shim, struct launch_io *io, struct error *error)
{
    bool terminal = shim->fields.flags & SHIM_TTY;
    int out[2] = {-1, -1}, err[2] = {-1, -1}, in[2] = {-1, -1};

    *io = (struct launch_io){.stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
    shim->has_terminal = false;
    shim->stdin_ending = false;
    if (!terminal && (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC)))
        return fail(error, "pipe");
    if (!terminal && (shim->fields.flags & SHIM_STDIN_OPEN) && pipe2(in, O_CLOEXEC))
        return fail(error, "pipe");
    shim->streams[0].fd = out[0];
    shim->streams[1].fd = err[0];
    shim->stdin_fd = in[1];
    io->stdin_fd = in[0] >= 0 ? in[0] : open("/dev/null", O_RDONLY | O_CLOEXEC);
    io->stdout_fd = terminal ? open("/dev/null", O_WRONLY | O_CLOEXEC) : out[1];
    io->stderr_fd = terminal ? open("/dev/null", O_WRONLY | O_CLOEXEC) : err[1];
    return io->stdin_fd < 0 || io->stdout_fd < 0 || io->stderr_fd < 0 ? fail(error, "open /dev/null") : 0;
}

void stdio_close_io(struct launch_io *io)
{
    close_scoped(&io->stdin_fd);
    close_scoped(&io->stdout_fd);
    close_scoped(&io->stderr_fd);
}

static void watch_stream(struct shim *shim, struct stream *stream)
{
    if (stream->fd < 0)
        return;
    fcntl(stream->fd, F_SETFL, O_NONBLOCK);
    stream->held = false;
    loop_watch(&shim->loop, &stream->watch, stream->fd, EPOLLIN);
}

void stdio_watch(struct shim *shim)
{
    watch_stream(shim, &shim->streams[0]);
    watch_stream(shim, &shim->streams[1]);
    if (shim->stdin_fd < 0)
        return;
    fcntl(shim->stdin_fd, F_SETFL, O_NONBLOCK);
    write_stdin(shim);
}

void stdio_set_terminal(struct shim *shim, int master)
{
    shim->has_terminal = true;
    shim->streams[0].fd = master;
    if (shim->fields.flags & SHIM_STDIN_OPEN)
        shim->stdin_fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
    if (shim->rows || shim->columns)
        stdio_resize(shim, shim->rows, shim->columns);
    stdio_watch(shim);
}

void stdio_resize(struct shim *shim, uint32_t rows, uint32_t columns)
{
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};

    shim->rows = size.ws_row;
    shim->columns = size.ws_col;
    if (shim->has_terminal && shim->streams[0].fd >= 0)
        ioctl(shim->streams[0].fd, TIOCSWINSZ, &size);
}

static void on_output(struct watch *watch, uint32_t events)
{
    struct stream *stream = watch->owner;
    struct shim *shim = stream->shim;

    (void)events;
    if (clients_owner_behind(shim)) {
        stream->held = true;
        /* Not with an empty set of events: a hang-up is reported all the same (epoll_ctl(2)). */
        loop_forget(&shim->loop, &stream->watch);
        return;
    }
    read_stream(stream);
    if (stdio_ended(shim))
        shim_drained(shim);
}

/* Returns whether there may be more. */
static bool read_stream(struct stream *stream)
{
    static unsigned char bytes[READ_MOST];
    struct shim *shim = stream->shim;
    ssize_t count = read(stream->fd, bytes, sizeof(bytes));

    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    /* A terminal's master says EIO when the last slave is closed (pty(7)). */
    if (count <= 0) {
        end_stream(stream);
        return false;
    }
    log_write(&shim->log, (enum log_stream)stream->number, bytes, (size_t)count);
    if (shim->log.dropped && !shim->log_timer.due)
        loop_after(&shim->loop, &shim->log_timer, LOG_RETRY_MS);
    clients_output(shim, stream->number, bytes, (size_t)count);
    return true;
}

static void end_stream(struct stream *stream)
{
    loop_forget(&stream->shim->loop, &stream->watch);
    if (stream->fd >= 0)
        close(stream->fd);
    stream->fd = -1;
    stream->held = false;
}

static void on_log_retry(struct timer *timer)
{
    struct shim *shim = timer->owner;

    log_retry(&shim->log);
    if (shim->log.dropped)
        loop_after(&shim->loop, timer, LOG_RETRY_MS);
}

bool stdio_ended(const struct shim *shim)
{
    return shim->streams[0].fd < 0 && shim->streams[1].fd < 0;
}

bool stdio_held(const struct shim *shim)
{
    return shim->streams[0].held || shim->streams[1].held;
}

void stdio_unhold(struct shim *shim)
{
    for (int i = 0; i < 2; i++)
        if (shim->streams[i].held && !clients_owner_behind(shim))
            watch_stream(shim, &shim->streams[i]);
}

void stdio_close(struct shim *shim)
{
    for (int i = 0; i < 2; i++) {
        struct stream *stream = &shim->streams[i];

        for (int reads = 0; stream->fd >= 0 && reads < LAST_READS && read_stream(stream); reads++)
            ;
        end_stream(stream);
    }
    close_stdin(shim);
    shim->has_terminal = false;
    log_finish(&shim->log);
}

void stdio_input(struct shim *shim, const unsigned char *bytes, uint32_t length)
{
    if (!(shim->fields.flags & SHIM_STDIN_OPEN) || shim->stdin_ending)
        return;
    if (!length)
        shim->stdin_ending = true;
    buffer_append(&shim->stdin_queue, bytes, length);
    if (shim->stdin_fd >= 0)
        write_stdin(shim);
}

static void on_stdin(struct watch *watch, uint32_t events)
{
    struct shim *shim = watch->owner;

    (void)events;
    write_stdin(shim);
    clients_resume_input(shim);
}

static void write_stdin(struct shim *shim)
{
    struct buffer *queue = &shim->stdin_queue;

    while (queue->length) {
        ssize_t count = write(shim->stdin_fd, queue->bytes, queue->length);

        if (count < 0 && errno == EAGAIN) {
            if (shim->stdin_watch.fd < 0)
                loop_watch(&shim->loop, &shim->stdin_watch, shim->stdin_fd, EPOLLOUT);
            return;
        }
        if (count < 0 && errno != EINTR) {
            close_stdin(shim);
            return;
        }
        if (count > 0)
            buffer_drop_front(queue, (size_t)count);
    }
    loop_forget(&shim->loop, &shim->stdin_watch);
    /* A terminal has no end of file but the one its user types. */
    if (shim->stdin_ending && !shim->has_terminal)
        close_stdin(shim);
}

static void close_stdin(struct shim *shim)
{
    loop_forget(&shim->loop, &shim->stdin_watch);
    if (shim->stdin_fd >= 0)
        close(shim->stdin_fd);
    shim->stdin_fd = -1;
    shim->stdin_queue.length = 0;
    clients_resume_input(shim);
}
