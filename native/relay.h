/* Our own terminal and the container's, joined: keys one way, output the other. */
#ifndef TSCOMPOSE_RELAY_H
#define TSCOMPOSE_RELAY_H

#include "error.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

struct relay_buffer {
    char bytes[8192];
    size_t start;
    size_t end;
};

struct relay {
    int master;               /* -1: there is none, and all functions do nothing */
    bool input_open;
    bool end_of_input_due;    /* our input ended: the terminal is to be told as by Ctrl-D */
    bool has_terminal;        /* our stdin is one, and `former` is how it was */
    struct termios former;
    struct relay_buffer input;
    struct relay_buffer output;
};

#define RELAY_POLLED 3

/* Takes the master over; puts our terminal, where there is one, into raw mode. */
int relay_start(struct relay *relay, int master, struct error *error);
/* Fills RELAY_POLLED entries for poll(2). */
void relay_poll(const struct relay *relay, struct pollfd *polled);
void relay_move(struct relay *relay, const struct pollfd *polled);
/* The size of ours becomes the container's. */
void relay_resize(struct relay *relay);
/* Everything the container's side has written so far. */
void relay_drain(struct relay *relay);
/* Puts our terminal back. Safe to call at any time. */
void relay_stop(struct relay *relay);

#endif
