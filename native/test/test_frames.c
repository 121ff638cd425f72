/* Frames and programs against the vectors that the TypeScript side has too, and the reader against what is cut off. */
#include "frames.h"
#include "launch.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_MOST 8192

static size_t from_hex(const char *hex, unsigned char *bytes)
{
    size_t length = 0;
    unsigned int value;

    for (; sscanf(hex, "%2x", &value) == 1; hex += 2)
        bytes[length++] = (unsigned char)value;
    return length;
}

/* Up to the quote that ends a JSON string; the vectors have no escapes. */
static bool value_of(const char *line, const char *key, char *value)
{
    char pattern[32];
    const char *at;

    snprintf(pattern, sizeof(pattern), "\"%s\":\"", key);
    at = strstr(line, pattern);
    if (!at)
        return false;
    at += strlen(pattern);
    snprintf(value, LINE_MOST, "%.*s", (int)strcspn(at, "\""), at);
    return true;
}

static unsigned int number_of(const char *line, const char *key)
{
    char pattern[32];
    const char *at;

    snprintf(pattern, sizeof(pattern), "\"%s\":", key);
    at = strstr(line, pattern);
    return at ? (unsigned int)strtoul(at + strlen(pattern), NULL, 10) : 0;
}

static void put_field(struct buffer *buffer, const char *field)
{
    const char *value = strchr(field, ':') + 1;
    unsigned char bytes[LINE_MOST];

    if (!strncmp(field, "u32:", 4))
        put_u32(buffer, (uint32_t)strtoul(value, NULL, 10));
    else if (!strncmp(field, "u64:", 4))
        put_u64(buffer, strtoull(value, NULL, 10));
    else if (!strncmp(field, "text:", 5))
        put_text(buffer, value);
    else
        put_bytes(buffer, bytes, from_hex(value, bytes));
}

static bool field_reads_back(struct fields *fields, const char *field)
{
    const char *value = strchr(field, ':') + 1;
    unsigned char bytes[LINE_MOST];
    const unsigned char *read;
    uint32_t length;
    char *text;
    bool same;

    if (!strncmp(field, "u32:", 4))
        return take_u32(fields) == (uint32_t)strtoul(value, NULL, 10);
    if (!strncmp(field, "u64:", 4))
        return take_u64(fields) == strtoull(value, NULL, 10);
    if (!strncmp(field, "text:", 5)) {
        text = take_text(fields);
        same = text && !strcmp(text, value);
        free(text);
        return same;
    }
    read = take_bytes(fields, &length);
    return read && length == from_hex(value, bytes) && !memcmp(read, bytes, length);
}

static void check_frame(const char *line)
{
    char names[LINE_MOST], hex[LINE_MOST], names_again[LINE_MOST];
    unsigned char wanted[LINE_MOST];
    struct buffer buffer = {0};
    struct fields fields;
    size_t length, place;
    bool same = true;

    if (!value_of(line, "fields", names) || !value_of(line, "hex", hex)) {
        ok(false, "a vector has fields and hex");
        return;
    }
    length = from_hex(hex, wanted);
    memcpy(names_again, names, sizeof(names));
    place = frame_begin(&buffer, number_of(line, "id"), (uint16_t)number_of(line, "type"));
    for (char *field = strtok(names, " "); field; field = strtok(NULL, " "))
        put_field(&buffer, field);
    frame_end(&buffer, place);
    ok(buffer.length == length && !memcmp(buffer.bytes, wanted, length), "frame of type %u is written as the vector says", number_of(line, "type"));
    fields = (struct fields){.at = wanted + sizeof(struct frame_header), .end = wanted + length};
    for (char *field = strtok(names_again, " "); field; field = strtok(NULL, " "))
        same = same && field_reads_back(&fields, field);
    ok(same && fields_done(&fields), "frame of type %u reads back", number_of(line, "type"));
    buffer_free(&buffer);
}

static bool reference_matches(const struct program *program, uint32_t reference, const char *hex)
{
    unsigned char wanted[LINE_MOST];
    uint32_t length = 0;
    const char *bytes = program_bytes(program, reference, &length);

    if (!strcmp(hex, "-"))
        return bytes == NULL;
    if (!strcmp(hex, "."))
        return bytes && length == 0;
    return bytes && length == from_hex(hex, wanted) && !memcmp(bytes, wanted, length);
}

static bool record_matches(const struct program *program, const struct program_record *record, const char *op)
{
    unsigned int code, flags;
    char a[1024], b[1024], c[1024], d[1024];
    unsigned long long x, y, z;

    return sscanf(op, "%u %u %1023s %1023s %1023s %1023s %llu %llu %llu", &code, &flags, a, b, c, d, &x, &y, &z) == 9 && record->op == code &&
           record->flags == flags && record->x == x && record->y == y && record->z == z && reference_matches(program, record->a, a) &&
           reference_matches(program, record->b, b) && reference_matches(program, record->c, c) && reference_matches(program, record->d, d);
}

static void check_program(const char *line)
{
    static uint64_t aligned[LINE_MOST / 8];
    char ops[LINE_MOST], hex[LINE_MOST];
    struct program program;
    struct error error = {.op_index = -1};
    uint32_t index = 0;

    if (!value_of(line, "ops", ops) || !value_of(line, "hex", hex)) {
        ok(false, "a vector has ops and hex");
        return;
    }
    if (program_open(aligned, from_hex(hex, (unsigned char *)aligned), &program, &error)) {
        ok(false, "program_open accepts the vector");
        note("%s", error.text);
        return;
    }
    for (char *op = strtok(ops, ";"); op; op = strtok(NULL, ";"), index++)
        ok(index < program.count && record_matches(&program, &program.records[index], op), "record %u is as the vector says", index);
    ok(index == program.count, "there are %u records", index);
}

static void check_vectors(void)
{
    char line[LINE_MOST];
    FILE *file = fopen("../test/vectors/protocol.json", "re");
    int vectors = 0;

    while (file && fgets(line, sizeof(line), file)) {
        if (strstr(line, "\"kind\":\"frame\""))
            check_frame(line);
        else if (strstr(line, "\"kind\":\"program\""))
            check_program(line);
        else
            continue;
        vectors++;
    }
    if (file)
        fclose(file);
    ok(vectors > 5, "the vectors were found: %d", vectors);
}

static void check_short_fields(void)
{
    static const unsigned char cut[] = {5, 0, 0, 0, 'a', 'b'};
    static const unsigned char nul[] = {2, 0, 0, 0, 'a', 0};
    struct fields fields = {.at = cut, .end = cut + sizeof(cut)};
    uint32_t length = 1;

    ok(!take_bytes(&fields, &length) && length == 0 && fields.bad, "bytes beyond the end are none");
    ok(take_u32(&fields) == 0 && take_u64(&fields) == 0 && !take_text(&fields), "after that everything is empty");
    fields = (struct fields){.at = cut, .end = cut + 3};
    ok(take_u32(&fields) == 0 && fields.bad, "a number beyond the end is none");
    fields = (struct fields){.at = nul, .end = nul + sizeof(nul)};
    ok(!take_text(&fields) && fields.bad, "text with a NUL is none");
    fields = (struct fields){.at = cut, .end = cut + 4};
    take_u32(&fields);
    ok(fields_done(&fields), "a payload that was read to its end is done");
}

static void check_blocks(void)
{
    char **strings = block_strings((const unsigned char *)"a\0\0bc", 6);

    ok(strings && !strcmp(strings[0], "a") && !strcmp(strings[1], "") && !strcmp(strings[2], "bc") && !strings[3], "a block of three strings");
    free(strings);
    strings = block_strings((const unsigned char *)"", 0);
    ok(strings && !strings[0], "an empty block");
    free(strings);
    ok(!block_strings((const unsigned char *)"ab", 2), "a block without its last NUL is none");
}

struct seen {
    unsigned int frames;
    unsigned int sum;
};

static void see(void *owner, const struct frame_header *header, struct fields *fields)
{
    struct seen *seen = owner;

    seen->frames++;
    seen->sum += header->id * 1000 + take_u32(fields);
}

/* Sent byte by byte, three frames are three frames. */
static void check_channel(void)
{
    struct channel channel = {.frame_max = 64};
    struct buffer stream = {0};
    struct seen seen = {0};
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)) {
        ok(false, "socketpair");
        return;
    }
    channel.fd = pair[1];
    for (uint32_t i = 1; i <= 3; i++) {
        size_t place = frame_begin(&stream, i, 7);

        put_u32(&stream, i);
        frame_end(&stream, place);
    }
    for (size_t i = 0; i < stream.length; i++)
        if (write(pair[0], stream.bytes + i, 1) != 1 || channel_read(&channel, see, &seen) != 1)
            break;
    ok(seen.frames == 3 && seen.sum == 6006, "frames in pieces come whole");
    ok(channel_read(&channel, see, &seen) == 1, "nothing to read is no end");
    stream.length = 0;
    frame_begin(&stream, 1, 7);
    stream.bytes[0] = 65;
    ok(write(pair[0], stream.bytes, stream.length) == (ssize_t)stream.length && channel_read(&channel, see, &seen) == -1 && errno == EPROTO,
       "a frame beyond the most breaks the channel");
    close(pair[0]);
    channel_free(&channel);
    channel = (struct channel){.frame_max = 64, .fd = pair[1]};
    ok(channel_read(&channel, see, &seen) == 0, "an end is an end");
    close(pair[1]);
    channel_free(&channel);
    buffer_free(&stream);
}

int main(void)
{
    check_vectors();
    check_short_fields();
    check_blocks();
    check_channel();
    return done_testing();
}
