#include "program_builder.h"

#include <stdlib.h>
#include <string.h>

/* Offsets into the data area while it grows; made absolute at the end. 0 stays "absent". */
static uint32_t add_reference(struct builder *builder, struct reference_input input, const char *text)
{
    const void *bytes = input.bytes ? input.bytes : text;
    uint32_t length = (uint32_t)(input.bytes ? input.length : text ? strlen(text) : 0);

    if (bytes == NULL)
        return 0;
    size_t at = builder->data_length + (builder->data_length == 0 ? 8 : 0);
    builder->data = realloc(builder->data, at + sizeof(length) + length + 1);
    if (builder->data_length == 0)
        memset(builder->data, 0, 8);
    memcpy(builder->data + at, &length, sizeof(length));
    memcpy(builder->data + at + sizeof(length), bytes, length);
    builder->data[at + sizeof(length) + length] = '\0';
    builder->data_length = at + sizeof(length) + length + 1;
    return (uint32_t)at;
}

void builder_add(struct builder *builder, const struct op_input *input)
{
    struct program_record *record = &builder->records[builder->count++];
    const struct reference_input none = { NULL, 0 };

    *record = (struct program_record){ .op = (uint16_t)input->op, .flags = (uint16_t)input->flags, .x = input->x, .y = input->y,
                                       .z = input->z };
    record->a = add_reference(builder, input->a_bytes, input->a);
    record->b = add_reference(builder, input->b_bytes, input->b);
    record->c = add_reference(builder, none, input->c);
    record->d = add_reference(builder, none, input->d);
}

struct reference_input block_of(const char *const *strings)
{
    static char room[8][8192];
    static unsigned int next;
    char *block = room[next++ % 8];
    size_t length = 0;

    for (; *strings; strings++) {
        size_t size = strlen(*strings) + 1;
        memcpy(block + length, *strings, size);
        length += size;
    }
    return (struct reference_input){ block, length };
}

void *builder_finish(struct builder *builder, size_t *size)
{
    size_t records = builder->count * sizeof(struct program_record);
    uint32_t data = (uint32_t)(sizeof(struct program_header) + records);
    *size = data + builder->data_length;
    unsigned char *blob = calloc(1, *size);
    struct program_header header = { .magic = PROGRAM_MAGIC, .version = PROTOCOL_VERSION, .total = (uint32_t)*size,
                                     .count = (uint32_t)builder->count, .records = sizeof(header), .data = data };

    for (size_t index = 0; index < builder->count; index++) {
        uint32_t *references[] = { &builder->records[index].a, &builder->records[index].b, &builder->records[index].c,
                                   &builder->records[index].d };
        for (size_t which = 0; which < 4; which++)
            if (*references[which])
                *references[which] += data;
    }
    memcpy(blob, &header, sizeof(header));
    memcpy(blob + sizeof(header), builder->records, records);
    if (builder->data_length)
        memcpy(blob + data, builder->data, builder->data_length);
    free(builder->data);
    memset(builder, 0, sizeof(*builder));
    return blob;
}
