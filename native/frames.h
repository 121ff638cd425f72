/* Frames and fields (protocol.h) in memory, and a non-blocking channel that carries them over a stream socket. */
#ifndef TSCOMPOSE_FRAMES_H
#define TSCOMPOSE_FRAMES_H

#include "protocol.h"

#include <stdbool.h>
#include <stddef.h>

/* A growing array of bytes. When memory runs out `failed` is set, the content stays as it was, and later appends do nothing. */
struct buffer {
    unsigned char *bytes;
    size_t length;
    size_t capacity;
    bool failed;
};

void buffer_append(struct buffer *buffer, const void *bytes, size_t length);
/* Makes room for `length` more bytes and returns where they go; NULL without memory. The length is the caller's to raise. */
unsigned char *buffer_reserve(struct buffer *buffer, size_t length);
void buffer_drop_front(struct buffer *buffer, size_t length);
void buffer_free(struct buffer *buffer);

void put_u32(struct buffer *buffer, uint32_t value);
void put_u64(struct buffer *buffer, uint64_t value);
void put_bytes(struct buffer *buffer, const void *bytes, size_t length);
void put_text(struct buffer *buffer, const char *text);

/* Starts a frame and returns its place; frame_end fills in the length. */
size_t frame_begin(struct buffer *buffer, uint32_t id, uint16_t type);
void frame_end(struct buffer *buffer, size_t place);
/* FRAME_ERROR with an errno and a text. */
void frame_error(struct buffer *buffer, uint32_t id, int number, const char *text);

/* Reads a payload field by field. After a field that does not fit `bad` is set and everything reads as zero or empty. */
struct fields {
    const unsigned char *at;
    const unsigned char *end;
    bool bad;
};

uint32_t take_u32(struct fields *fields);
uint64_t take_u64(struct fields *fields);
const unsigned char *take_bytes(struct fields *fields, uint32_t *length);
/* A NUL-terminated copy, the caller's to free; text with a NUL inside is bad. NULL when bad. */
char *take_text(struct fields *fields);
/* Everything was read and nothing was bad. */
bool fields_done(const struct fields *fields);

/* A block as a NULL-terminated array; one allocation, free() it. NULL when the block is no sequence of strings, or without memory. */
char **block_strings(const unsigned char *block, uint32_t length);

struct channel {
    int fd;
    uint32_t frame_max;
    struct buffer in;
    struct buffer out;
    size_t sent; /* of out */
};

typedef void frame_handler(void *owner, const struct frame_header *header, struct fields *fields);

/* Reads what is there once and hands every whole frame to `handle`; the handler may close the channel's fd by setting it to -1.
 * Returns 1 while open, 0 at the end of the stream, -1 when broken (errno; EPROTO for a frame beyond frame_max). */
int channel_read(struct channel *channel, frame_handler *handle, void *owner);
/* Sends as much of `out` as the socket takes. Returns 0, or -1 when broken. */
int channel_flush(struct channel *channel);
size_t channel_pending(const struct channel *channel);
void channel_free(struct channel *channel);

#endif
