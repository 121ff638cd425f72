#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define END_OF_INPUT '\004'

static void fill(struct relay_buffer *buffer, int fd, bool *open);
static void empty(struct relay_buffer *buffer, int fd, bool *open);
static bool is_empty(const struct relay_buffer *buffer);

int relay_start(struct relay *relay, int master, struct error *error)
{
    struct termios raw;

    relay->master = master;
    relay->input_open = true;
    if (fcntl(master, F_SETFL, O_NONBLOCK) < 0)
        return fail(error, "the terminal's flags");
    if (tcgetattr(STDIN_FILENO, &relay->former) < 0)
        return 0;
    raw = relay->former;
    cfmakeraw(&raw);
    relay->has_terminal = true;
    relay_resize(relay);
    /* TCSADRAIN: our own output before this point is shown as it was meant. */
    return tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0 ? fail(error, "raw terminal") : 0;
}

void relay_resize(struct relay *relay)
{
    struct winsize size;

    if (relay->master >= 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
        ioctl(relay->master, TIOCSWINSZ, &size);
}

/* A side is read only when there is room, and written only when there is something: nothing spins, nothing is held without
 * bound. */
void relay_poll(const struct relay *relay, struct pollfd *polled)
{
    bool has_master = relay->master >= 0;
    bool has_input = !is_empty(&relay->input) || relay->end_of_input_due;
    short master = (short)((is_empty(&relay->output) ? POLLIN : 0) | (has_input ? POLLOUT : 0));

    polled[0] = (struct pollfd){ .fd = has_master && relay->input_open && is_empty(&relay->input) ? STDIN_FILENO : -1,
                                 .events = POLLIN };
    polled[1] = (struct pollfd){ .fd = has_master && master ? relay->master : -1, .events = master };
    polled[2] = (struct pollfd){ .fd = has_master && !is_empty(&relay->output) ? STDOUT_FILENO : -1, .events = POLLOUT };
}

static bool is_empty(const struct relay_buffer *buffer)
{
    return buffer->start == buffer->end;
}

void relay_move(struct relay *relay, const struct pollfd *polled)
{
    bool open = true;

    if (relay->master < 0)
        return;
    if (polled[0].revents) {
        fill(&relay->input, STDIN_FILENO, &relay->input_open);
        relay->end_of_input_due = !relay->input_open;
    }
    if (polled[1].revents & (POLLIN | POLLHUP | POLLERR))
        fill(&relay->output, relay->master, &open);
    if (relay->end_of_input_due && is_empty(&relay->input)) {
        relay->input = (struct relay_buffer){ .bytes = { END_OF_INPUT }, .start = 0, .end = 1 };
        relay->end_of_input_due = false;
    }
    if (!is_empty(&relay->input) && open)
        empty(&relay->input, relay->master, &open);
    if (!is_empty(&relay->output)) {
        bool reader = true;
        empty(&relay->output, STDOUT_FILENO, &reader);
    }
    /* The last of the other side has closed it (EIO). */
    if (!open && is_empty(&relay->output)) {
        close(relay->master);
        relay->master = -1;
    }
}

static void fill(struct relay_buffer *buffer, int fd, bool *open)
{
    if (!is_empty(buffer))
        return;
    ssize_t length = read(fd, buffer->bytes, sizeof(buffer->bytes));
    buffer->start = 0;
    buffer->end = length > 0 ? (size_t)length : 0;
    if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR))
        *open = false;
}

/* What a closed reader would have got is thrown away: the container must not stand still for it. */
static void empty(struct relay_buffer *buffer, int fd, bool *open)
{
    ssize_t length = write(fd, buffer->bytes + buffer->start, buffer->end - buffer->start);

    if (length > 0) {
        buffer->start += (size_t)length;
    } else if (length < 0 && errno != EAGAIN && errno != EINTR) {
        buffer->start = buffer->end;
        *open = false;
    }
}

void relay_drain(struct relay *relay)
{
    bool open = relay->master >= 0;
    bool reader = true;

    while (open || (relay->master >= 0 && !is_empty(&relay->output))) {
        if (is_empty(&relay->output)) {
            fill(&relay->output, relay->master, &open);
            if (is_empty(&relay->output))
                return;
        }
        struct pollfd writable = { .fd = STDOUT_FILENO, .events = POLLOUT };
        if (poll(&writable, 1, -1) < 0 && errno != EINTR)
            return;
        empty(&relay->output, STDOUT_FILENO, &reader);
    }
}

void relay_stop(struct relay *relay)
{
    if (relay->has_terminal)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &relay->former);
    relay->has_terminal = false;
    if (relay->master >= 0)
        close(relay->master);
    relay->master = -1;
}
