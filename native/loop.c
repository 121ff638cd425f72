#include "loop.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

static int wait_ms(const struct loop *loop);
static void fire_due(struct loop *loop);

uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int loop_open(struct loop *loop)
{
    *loop = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
    return loop->epoll < 0 ? -1 : 0;
}

void loop_run(struct loop *loop)
{
    while (!loop->ended) {
        struct epoll_event event;
        /* One event at a time: a call-back may free what a second event in the same batch would point at. */
        int count = epoll_wait(loop->epoll, &event, 1, wait_ms(loop));

        if (count < 0 && errno != EINTR)
            return;
        if (count == 1) {
            struct watch *watch = event.data.ptr;
            watch->ready(watch, event.events);
        }
        fire_due(loop);
    }
}

static int wait_ms(const struct loop *loop)
{
    uint64_t soonest = UINT64_MAX;
    uint64_t now;

    for (const struct timer *timer = loop->timers; timer; timer = timer->next)
        if (timer->due && timer->due < soonest)
            soonest = timer->due;
    if (soonest == UINT64_MAX)
        return -1;
    now = clock_ms();
    if (soonest <= now)
        return 0;
    return soonest - now > 60000 ? 60000 : (int)(soonest - now);
}

/* Starts over after every call-back, for it may have changed the list. */
static void fire_due(struct loop *loop)
{
    uint64_t now = clock_ms();
    struct timer *timer = loop->timers;

    while (timer && !loop->ended) {
        if (!timer->due || timer->due > now) {
            timer = timer->next;
            continue;
        }
        timer->due = 0;
        timer->fire(timer);
        timer = loop->timers;
    }
}

int loop_watch(struct loop *loop, struct watch *watch, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.ptr = watch}};

    watch->fd = fd;
    return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event);
}

int loop_change(struct loop *loop, struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.ptr = watch}};

    return watch->fd < 0 ? 0 : epoll_ctl(loop->epoll, EPOLL_CTL_MOD, watch->fd, &event);
}

void loop_forget(struct loop *loop, struct watch *watch)
{
    if (watch->fd >= 0)
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->fd = -1;
}

void loop_close_watch(struct loop *loop, struct watch *watch)
{
    int fd = watch->fd;

    loop_forget(loop, watch);
    if (fd >= 0)
        close(fd);
}

void loop_after(struct loop *loop, struct timer *timer, uint64_t ms)
{
    timer->due = clock_ms() + ms;
    if (timer->known)
        return;
    timer->known = true;
    timer->next = loop->timers;
    loop->timers = timer;
}

void timer_cancel(struct timer *timer)
{
    timer->due = 0;
}

void loop_drop_timer(struct loop *loop, struct timer *timer)
{
    for (struct timer **at = &loop->timers; *at; at = &(*at)->next) {
        if (*at != timer)
            continue;
        *at = timer->next;
        break;
    }
    timer->known = false;
    timer->due = 0;
}
