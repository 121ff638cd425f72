/*
 * Mutated launch programs against the reader, deterministic by seed: fuzz_program ITERATIONS SEED. Built with the sanitizers;
 * every blob is an exact heap copy, so one byte read too far ends the run. Accepted ones are read through as an executor would.
 */
#include "child.h"
#include "program_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

/* xorshift64 */
static uint32_t random32(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

static void *seed_program(size_t *size)
{
    static const char *const argv[] = { "/bin/sh", "-c", "true", NULL };
    struct builder builder = { .count = 0 };

    ADD(&builder, .op = OP_CGROUP_CREATE, .a = "/sys/fs/cgroup/x");
    ADD(&builder, .op = OP_CGROUP_WRITE, .a = "/sys/fs/cgroup/x/pids.max", .b = "100");
    ADD(&builder, .op = OP_CLONE, .a = "/sys/fs/cgroup/x", .x = 0x20000000);
    ADD(&builder, .op = OP_ID_MAPS, .flags = OP_PARENT, .a = "0 0 1", .b = "0 0 1");
    ADD(&builder, .op = OP_ROOTFS, .a = "/merged", .b = "lowerdir=/l");
    ADD(&builder, .op = OP_MOUNT, .a = "proc", .b = "/proc", .c = "proc", .d = "hidepid=2");
    ADD(&builder, .op = OP_BIND, .a = "/src", .b = "/dst");
    ADD(&builder, .op = OP_USER, .a_bytes = { "\1\0\0\0\2\0\0", 8 });
    ADD(&builder, .op = OP_SECCOMP, .a_bytes = { "\6\0\0\0\0\0\377\177", 8 });
    ADD(&builder, .op = OP_EXEC, .a_bytes = block_of(argv), .b_bytes = block_of(argv));
    return builder_finish(&builder, size);
}

static void mutate(unsigned char *blob, size_t *size)
{
    static const uint32_t interesting[] = { 0, 1, 4, 7, 8, 32, 48, 0x7f, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffff8,
                                            0xffffffff };
    uint32_t changes = 1 + random32() % 4;

    while (changes-- > 0) {
        size_t at = random32() % *size;
        switch (random32() % 4) {
        case 0:
            blob[at] ^= (unsigned char)(1u << random32() % 8);
            break;
        case 1:
            blob[at] = (unsigned char)random32();
            break;
        case 2:
            if (at + 4 <= *size)
                memcpy(blob + (at & ~(size_t)3), &interesting[random32() % (sizeof(interesting) / sizeof(interesting[0]))], 4);
            break;
        default:
            if (random32() % 8 == 0 && *size > 64) {
                *size -= random32() % 32;
                uint32_t total = (uint32_t)*size;
                memcpy(blob + 8, &total, sizeof(total));
            }
            break;
        }
    }
}

/* Every byte that an operation may look at: a sum the compiler cannot leave out. */
static unsigned int read_through(const struct program *program)
{
    unsigned int sum = 0;

    for (uint32_t index = 0; index < program->count; index++) {
        const uint32_t references[] = { program->records[index].a, program->records[index].b, program->records[index].c,
                                        program->records[index].d };
        for (size_t which = 0; which < 4; which++) {
            uint32_t length;
            /* Only those that the operation knows were checked; the others nobody reads. */
            const struct operation *operation = operation_of(program->records[index].op);
            const struct reference_rule rules[] = { operation->a, operation->b, operation->c, operation->d };
            if (rules[which].kind == REFERENCE_NONE)
                continue;
            const char *bytes = program_bytes(program, references[which], &length);
            for (uint32_t at = 0; bytes && at <= length; at++)
                sum += (unsigned char)bytes[at];
        }
    }
    return sum;
}

int main(int argc, char **argv)
{
    unsigned long iterations = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
    unsigned long accepted = 0;
    unsigned int sum = 0;
    size_t size;
    unsigned char *seed = seed_program(&size);
    struct program program;
    struct error error;

    state = 0x9e3779b97f4a7c15ull ^ (argc > 2 ? strtoul(argv[2], NULL, 10) : 1);
    if (program_open(seed, size, &program, &error) < 0) {
        fprintf(stderr, "the seed itself is refused: %s\n", error.text);
        return 1;
    }
    for (unsigned long iteration = 0; iteration < iterations; iteration++) {
        size_t length = size;
        unsigned char *changed = malloc(size);
        memcpy(changed, seed, size);
        mutate(changed, &length);
        unsigned char *exact = realloc(changed, length);
        if (program_open(exact, length, &program, &error) == 0) {
            accepted++;
            sum += read_through(&program);
        }
        free(exact);
    }
    free(seed);
    printf("%lu mutated programs, %lu accepted, sum %u\n", iterations, accepted, sum);
    return 0;
}
