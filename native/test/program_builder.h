/* Builds launch programs for tests: what src/runtime does in TypeScript, in a few lines of C. */
#ifndef TSCOMPOSE_PROGRAM_BUILDER_H
#define TSCOMPOSE_PROGRAM_BUILDER_H

#include "protocol.h"

#include <stddef.h>

struct reference_input {
    const void *bytes; /* NULL: absent */
    size_t length;
};
#define TEXT_INPUT(text) { (text), sizeof(text) - 1 }

/* One record; text members are for NUL-terminated text, and are used where the bytes are absent. */
struct op_input {
    unsigned int op;
    unsigned int flags;
    const char *a, *b, *c, *d;
    struct reference_input a_bytes, b_bytes;
    uint64_t x, y, z;
};

struct builder {
    struct program_record records[128];
    size_t count;
    unsigned char *data;
    size_t data_length;
};

void builder_add(struct builder *builder, const struct op_input *input);
/* An argv or environment block out of a NULL-terminated list. */
struct reference_input block_of(const char *const *strings);
/* The blob, to be freed; the builder is empty afterwards. */
void *builder_finish(struct builder *builder, size_t *size);

#define ADD(builder, ...) builder_add((builder), &(struct op_input){ __VA_ARGS__ })

#endif
