#include "frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_STEP 65536u
/* An empty buffer keeps no more than this. */
#define KEEP_CAPACITY 65536u

static int hand_out(struct channel *channel, frame_handler *handle, void *owner);

unsigned char *buffer_reserve(struct buffer *buffer, size_t length)
{
    size_t wanted = buffer->length + length;
    size_t capacity = buffer->capacity ? buffer->capacity : 256;
    unsigned char *bytes;

    if (buffer->failed)
        return NULL;
    if (wanted <= buffer->capacity)
        return buffer->bytes + buffer->length;
    while (capacity < wanted)
        capacity *= 2;
    bytes = realloc(buffer->bytes, capacity);
    if (!bytes) {
        buffer->failed = true;
        return NULL;
    }
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return bytes + buffer->length;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
    unsigned char *place;

    if (!length)
        return;
    place = buffer_reserve(buffer, length);
    if (!place)
        return;
    memcpy(place, bytes, length);
    buffer->length += length;
}

void buffer_drop_front(struct buffer *buffer, size_t length)
{
    buffer->length -= length;
    if (buffer->length)
        memmove(buffer->bytes, buffer->bytes + length, buffer->length);
    else if (buffer->capacity > KEEP_CAPACITY)
        buffer_free(buffer);
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct buffer){0};
}

/* The machines we build for (x86-64, AArch64) are little-endian, as the protocol is. */
void put_u32(struct buffer *buffer, uint32_t value)
{
    buffer_append(buffer, &value, sizeof(value));
}

void put_u64(struct buffer *buffer, uint64_t value)
{
    buffer_append(buffer, &value, sizeof(value));
}

void put_bytes(struct buffer *buffer, const void *bytes, size_t length)
{
    put_u32(buffer, (uint32_t)length);
    buffer_append(buffer, bytes, length);
}

void put_text(struct buffer *buffer, const char *text)
{
    put_bytes(buffer, text, strlen(text));
}

size_t frame_begin(struct buffer *buffer, uint32_t id, uint16_t type)
{
    struct frame_header header = {.id = id, .type = type};
    size_t place = buffer->length;

    buffer_append(buffer, &header, sizeof(header));
    return place;
}

void frame_end(struct buffer *buffer, size_t place)
{
    uint32_t length;

    if (buffer->failed)
        return;
    length = (uint32_t)(buffer->length - place - sizeof(struct frame_header));
    memcpy(buffer->bytes + place, &length, sizeof(length));
}

void frame_error(struct buffer *buffer, uint32_t id, int number, const char *text)
{
    size_t place = frame_begin(buffer, id, FRAME_ERROR);

    put_u32(buffer, (uint32_t)number);
    put_text(buffer, text);
    frame_end(buffer, place);
}

static const unsigned char *take(struct fields *fields, size_t length)
{
    const unsigned char *at = fields->at;

    if (fields->bad || (size_t)(fields->end - at) < length) {
        fields->bad = true;
        return NULL;
    }
    fields->at += length;
    return at;
}

uint32_t take_u32(struct fields *fields)
{
    const unsigned char *at = take(fields, sizeof(uint32_t));
    uint32_t value = 0;

    if (at)
        memcpy(&value, at, sizeof(value));
    return value;
}

uint64_t take_u64(struct fields *fields)
{
    const unsigned char *at = take(fields, sizeof(uint64_t));
    uint64_t value = 0;

    if (at)
        memcpy(&value, at, sizeof(value));
    return value;
}

const unsigned char *take_bytes(struct fields *fields, uint32_t *length)
{
    const unsigned char *at;

    *length = take_u32(fields);
    at = take(fields, *length);
    if (!at)
        *length = 0;
    return at;
}

char *take_text(struct fields *fields)
{
    uint32_t length;
    const unsigned char *at = take_bytes(fields, &length);
    char *text;

    if (!at)
        return NULL;
    if (memchr(at, 0, length)) {
        fields->bad = true;
        return NULL;
    }
    text = malloc((size_t)length + 1);
    if (!text) {
        fields->bad = true;
        return NULL;
    }
    memcpy(text, at, length);
    text[length] = '\0';
    return text;
}

bool fields_done(const struct fields *fields)
{
    return !fields->bad && fields->at == fields->end;
}

char **block_strings(const unsigned char *block, uint32_t length)
{
    size_t count = 0;
    char **strings;
    char *text;

    if (length && block[length - 1])
        return NULL;
    for (uint32_t i = 0; i < length; i++)
        count += !block[i];
    strings = malloc((count + 1) * sizeof(char *) + length);
    if (!strings)
        return NULL;
    text = (char *)(strings + count + 1);
    if (length)
        memcpy(text, block, length);
    for (size_t i = 0; i < count; i++) {
        strings[i] = text;
        text += strlen(text) + 1;
    }
    strings[count] = NULL;
    return strings;
}

int channel_read(struct channel *channel, frame_handler *handle, void *owner)
{
    unsigned char *place = buffer_reserve(&channel->in, READ_STEP);
    ssize_t count;

    if (!place) {
        errno = ENOMEM;
        return -1;
    }
    count = read(channel->fd, place, READ_STEP);
    if (count == 0)
        return 0;
    if (count < 0)
        return errno == EAGAIN || errno == EINTR ? 1 : -1;
    channel->in.length += (size_t)count;
    return hand_out(channel, handle, owner);
}

static int hand_out(struct channel *channel, frame_handler *handle, void *owner)
{
    size_t used = 0;
    struct frame_header header;

    while (channel->fd >= 0 && channel->in.length - used >= sizeof(header)) {
        const unsigned char *payload = channel->in.bytes + used + sizeof(header);
        struct fields fields;

        memcpy(&header, channel->in.bytes + used, sizeof(header));
        if (header.length > channel->frame_max) {
            errno = EPROTO;
            return -1;
        }
        if (channel->in.length - used - sizeof(header) < header.length)
            break;
        fields = (struct fields){.at = payload, .end = payload + header.length};
        used += sizeof(header) + header.length;
        handle(owner, &header, &fields);
    }
    if (channel->fd >= 0)
        buffer_drop_front(&channel->in, used);
    return 1;
}

int channel_flush(struct channel *channel)
{
    if (channel->out.failed) {
        errno = ENOMEM;
        return -1;
    }
    while (channel->sent < channel->out.length) {
        ssize_t count = send(channel->fd, channel->out.bytes + channel->sent, channel->out.length - channel->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && errno != EAGAIN)
            return -1;
        if (count < 0)
            break;
        channel->sent += (size_t)count;
    }
    /* Half at a time, so that a long queue is not moved again and again. */
    if (channel->sent < channel->out.length) {
        if (channel->sent > channel->out.length / 2) {
            buffer_drop_front(&channel->out, channel->sent);
            channel->sent = 0;
        }
        return 0;
    }
    channel->sent = 0;
    channel->out.length = 0;
    if (channel->out.capacity > KEEP_CAPACITY)
        buffer_free(&channel->out);
    return 0;
}

size_t channel_pending(const struct channel *channel)
{
    return channel->out.length - channel->sent;
}

void channel_free(struct channel *channel)
{
    buffer_free(&channel->in);
    buffer_free(&channel->out);
    channel->sent = 0;
}
