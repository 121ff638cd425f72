/* One thread waits for descriptors and times; everything in serve and in the shim happens in one of these call-backs. */
#ifndef TSCOMPOSE_LOOP_H
#define TSCOMPOSE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct watch {
    int fd; /* -1 while not watched */
    void (*ready)(struct watch *watch, uint32_t events);
    void *owner;
};

struct timer {
    uint64_t due; /* in clock_ms() time; 0: not armed */
    void (*fire)(struct timer *timer);
    void *owner;
    struct timer *next;
    bool known; /* is in the loop's list */
};

struct loop {
    int epoll;
    bool ended;
    struct timer *timers;
};

/* Milliseconds on a clock that never jumps. */
uint64_t clock_ms(void);

int loop_open(struct loop *loop);
/* Watches `fd` for EPOLLIN and such; the watch must stay where it is in memory until loop_forget. */
int loop_watch(struct loop *loop, struct watch *watch, int fd, uint32_t events);
int loop_change(struct loop *loop, struct watch *watch, uint32_t events);
/* Stops watching; the descriptor stays open. */
void loop_forget(struct loop *loop, struct watch *watch);
/* Stops watching and closes. */
void loop_close_watch(struct loop *loop, struct watch *watch);

void loop_after(struct loop *loop, struct timer *timer, uint64_t ms);
void timer_cancel(struct timer *timer);
/* Takes a timer out for good, before its memory goes. */
void loop_drop_timer(struct loop *loop, struct timer *timer);

/* Until `ended` is set. */
void loop_run(struct loop *loop);

#endif
