/* The reader of launch programs: whatever the bytes, it accepts or refuses, and never reads outside of them. */
#include "launch.h"
#include "program_builder.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>

static const char *const argv[] = { "/bin/true", NULL };

static void *good(size_t *size)
{
    struct builder builder = { .count = 0 };

    ADD(&builder, .op = OP_CGROUP_CREATE, .a = "/sys/fs/cgroup/x");
    ADD(&builder, .op = OP_CLONE, .x = 0);
    ADD(&builder, .op = OP_PRLIMIT, .flags = OP_PARENT, .x = 7, .y = 10, .z = 10);
    ADD(&builder, .op = OP_HOSTNAME, .a = "box");
    ADD(&builder, .op = OP_EXEC, .a_bytes = block_of(argv));
    return builder_finish(&builder, size);
}

static void put32(void *blob, size_t at, uint32_t value)
{
    memcpy((char *)blob + at, &value, sizeof(value));
}

static bool opens(const void *blob, size_t size)
{
    struct program program;
    struct error error;
    /* An exact copy on the heap: AddressSanitizer sees a read beyond it. */
    void *copy = malloc(size ? size : 1);

    memcpy(copy, blob, size);
    bool opened = program_open(copy, size, &program, &error) == 0;
    free(copy);
    return opened;
}

#define RECORD(n) (sizeof(struct program_header) + (n) * sizeof(struct program_record))

static void test_changes(void)
{
    static const struct {
        const char *name;
        size_t at;
        uint32_t value;
    } changes[] = {
        { "another magic", 0, 1 },
        { "another version", 4, PROTOCOL_VERSION + 1 },
        { "a total that is larger", 8, 0x7fffffff },
        { "a total of all ones", 8, 0xffffffff },
        { "no records", 12, 0 },
        { "65,537 records", 12, 65537 },
        { "a count that overflows 32 bits when multiplied", 12, 0x05555556 },
        { "records in the header", 16, 0 },
        { "records that are not aligned", 16, 36 },
        { "records beyond the end", 16, 0xfffffff8 },
        { "data before the records end", 20, 40 },
        { "data beyond the end", 20, 0xffffffff },
        { "an unknown operation", RECORD(3), 0x7fff },
        { "operation 0", RECORD(3), 0 },
        { "a reserved operation", RECORD(3), OP_SYSTEMD_SCOPE },
        { "a missing reference", RECORD(3) + 8, 0 },
        { "a reference into the header", RECORD(3) + 8, 4 },
        { "a reference into the records", RECORD(3) + 8, RECORD(1) },
        { "a reference at the very end", RECORD(3) + 8, 0xffffffff },
        { "a reference beyond the end", RECORD(3) + 8, 0x10000 },
        { "a child's operation before CLONE", RECORD(0), OP_UMASK },
        { "a child's operation with OP_PARENT", RECORD(3), OP_HOSTNAME | OP_PARENT << 16 },
        { "JOIN after CLONE", RECORD(2), OP_JOIN | OP_PARENT << 16 },
        { "EXEC before the end", RECORD(3), OP_EXEC },
        { "an end that is not EXEC", RECORD(4), OP_UMASK },
        { "two CLONEs", RECORD(2), OP_CLONE },
        { "no CLONE", RECORD(1), OP_CGROUP_CREATE },
        { "PRLIMIT before CLONE", RECORD(0), OP_PRLIMIT },
    };
    size_t size;
    void *blob = good(&size);

    ok(opens(blob, size), "a good program is accepted");
    for (size_t row = 0; row < sizeof(changes) / sizeof(changes[0]); row++) {
        void *changed = malloc(size);
        memcpy(changed, blob, size);
        put32(changed, changes[row].at, changes[row].value);
        ok(!opens(changed, size), "%s is refused", changes[row].name);
        free(changed);
    }
    free(blob);
}

static void test_every_length(void)
{
    size_t size;
    void *blob = good(&size);
    bool accepted = false;

    for (size_t length = 0; length < size; length++) {
        void *part = malloc(length ? length : 1);
        memcpy(part, blob, length);
        accepted = accepted || opens(part, length);
        if (length >= sizeof(struct program_header)) {
            put32(part, 8, (uint32_t)length);
            accepted = accepted || opens(part, length);
        }
        free(part);
    }
    ok(!accepted, "no program that was cut short is accepted, with the total corrected or not");
    free(blob);
}

static void test_content(void)
{
    static const struct {
        const char *name;
        struct op_input record;
        bool accepted;
    } rows[] = {
        { "text", { .op = OP_HOSTNAME, .a = "box" }, true },
        { "empty text", { .op = OP_HOSTNAME, .a = "" }, true },
        { "text with a NUL inside", { .op = OP_HOSTNAME, .a_bytes = { "a\0b", 3 } }, false },
        { "four bytes of groups", { .op = OP_USER, .a_bytes = { "\1\0\0", 4 } }, true },
        { "five bytes of groups", { .op = OP_USER, .a_bytes = { "\1\0\0\0", 5 } }, false },
        { "no groups", { .op = OP_USER }, true },
        { "a filter of one instruction", { .op = OP_SECCOMP, .a_bytes = { "\6\0\0\0\0\0\377", 8 } }, true },
        { "half an instruction", { .op = OP_SECCOMP, .a_bytes = { "\6\0\0", 4 } }, false },
        { "no filter", { .op = OP_SECCOMP }, false },
        { "a mount without a target", { .op = OP_MOUNT, .a = "proc", .c = "proc" }, false },
        { "a file with NULs in it", { .op = OP_WRITE_FILE, .a_bytes = { "a\0b", 3 }, .b = "/x" }, true },
    };

    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        struct builder builder = { .count = 0 };
        size_t size;
        ADD(&builder, .op = OP_CLONE);
        builder_add(&builder, &rows[row].record);
        ADD(&builder, .op = OP_EXEC, .a_bytes = block_of(argv));
        void *blob = builder_finish(&builder, &size);
        ok(opens(blob, size) == rows[row].accepted, "%s is %s", rows[row].name, rows[row].accepted ? "accepted" : "refused");
        free(blob);
    }
    struct builder builder = { .count = 0 };
    size_t size;
    ADD(&builder, .op = OP_CLONE);
    ADD(&builder, .op = OP_EXEC, .a_bytes = { "/bin/true", 9 });
    void *blob = builder_finish(&builder, &size);
    ok(!opens(blob, size), "an argv whose last string does not end is refused");
    free(blob);
}

static void test_error_place(void)
{
    struct program program;
    struct error error;
    size_t size;
    void *blob = good(&size);

    put32(blob, RECORD(3) + 8, 4);
    ok(program_open(blob, size, &program, &error) < 0 && error.op_index == 3 && error.op == OP_HOSTNAME,
       "a refusal names the record");
    free(blob);
}

static void test_exit_codes(void)
{
    static const struct {
        int op, number, code;
    } rows[] = {
        { OP_EXEC, 2 /* ENOENT */, 127 }, { OP_EXEC, 13 /* EACCES */, 126 }, { OP_EXEC, 8 /* ENOEXEC */, 126 },
        { OP_MOUNT, 2, 125 }, { 0, 22, 125 },
    };

    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        struct error error = { .op = rows[row].op, .number = rows[row].number };
        ok(launch_exit_code(&error) == rows[row].code, "operation %d failing with %d ends with %d", rows[row].op,
           rows[row].number, rows[row].code);
    }
}

int main(void)
{
    test_changes();
    test_every_length();
    test_content();
    test_error_place();
    test_exit_codes();
    return done_testing();
}
