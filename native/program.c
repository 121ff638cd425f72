#include "child.h"

#include <errno.h>
#include <string.h>
#include <linux/filter.h>

#define RECORDS_MAX 65536u

static int check_header(const struct program_header *header, size_t size, struct error *error);
static int check_record(const struct program *program, uint32_t index, uint32_t clone, struct error *error);
static int check_reference(const struct program *program, uint32_t reference, struct reference_rule rule, char letter,
                           struct error *error);
static int check_content(const char *bytes, uint32_t length, unsigned char kind, char letter, struct error *error);
static int check_side(const struct program *program, uint32_t index, uint32_t clone, struct error *error);
static int find_clone(const struct program *program, uint32_t *clone, struct error *error);
static int refuse(struct error *error, const struct program *program, uint32_t index, const char *why);

#define TEXT { REFERENCE_TEXT, false }
#define MAYBE_TEXT { REFERENCE_TEXT, true }
#define BYTES { REFERENCE_BYTES, false }
#define FILTERS { REFERENCE_FILTERS, false }
#define BLOCK { REFERENCE_BLOCK, false }
#define MAYBE_BLOCK { REFERENCE_BLOCK, true }
#define NOTHING { REFERENCE_NONE, true }

static const struct operation operations[] = {
    [OP_CGROUP_CREATE] = { "cgroup-create", launcher_cgroup_create, NULL, TEXT, NOTHING, NOTHING, NOTHING },
    [OP_CGROUP_WRITE] = { "cgroup-write", launcher_cgroup_write, NULL, TEXT, BYTES, NOTHING, NOTHING },
    [OP_CGROUP_ATTACH] = { "cgroup-attach", launcher_cgroup_attach, child_cgroup_attach, TEXT, NOTHING, NOTHING, NOTHING },
    [OP_CGROUP_DEVICES] = { "cgroup-devices", launcher_cgroup_devices, NULL, TEXT, FILTERS, NOTHING, NOTHING },
    [OP_JOIN] = { "join", launcher_join, NULL, NOTHING, NOTHING, NOTHING, NOTHING },
    [OP_CLONE] = { "clone", NULL, NULL, MAYBE_TEXT, NOTHING, NOTHING, NOTHING },
    [OP_PRLIMIT] = { "prlimit", launcher_prlimit, child_prlimit, NOTHING, NOTHING, NOTHING, NOTHING },
    [OP_OOM_SCORE] = { "oom-score", launcher_oom_score, child_oom_score, NOTHING, NOTHING, NOTHING, NOTHING },
    [OP_ID_MAPS] = { "id-maps", launcher_id_maps, NULL, TEXT, TEXT, NOTHING, NOTHING },

    [OP_SETNS] = { "setns", launcher_setns, child_setns, TEXT, NOTHING, NOTHING, NOTHING },
    [OP_UNSHARE] = { "unshare", NULL, child_unshare, NOTHING, NOTHING, NOTHING, NOTHING },
    [OP_HOSTNAME] = { "hostname", NULL, child_hostname, TEXT, NOTHING, NOTHING, NOTHING },
    [OP_DOMAINNAME] = { "domainname", NULL, child_domainname, TEXT, NOTHING, NOTHING, NOTHING },
    [OP_LOOPBACK_UP] = { "loopback-up", NULL, child_loopback_up, NOTHING, NOTHING, NOTHING, NOTHING },
    [OP_KEYRING] = { "keyring", NULL, child_keyring, MAYBE_TEXT, NOTHING, NOTHING, NOTHING },

    [OP_ROOT_PROPAGATION] = { "root-propagation", NULL, child_root_propagation, NOTHING, NOTHING, NOTHING, NOTHING },
    [OP_ROOTFS] = { "rootfs", NULL, child_rootfs, TEXT, MAYBE_TEXT, NOTHING, NOTHING },
    [OP_MOUNT] = { "mount", NULL, child_mount, MAYBE_TEXT, TEXT, TEXT, MAYBE_TEXT },
    [OP_BIND] = { "bind", NULL, child_bind, TEXT, TEXT, NOTHING, NOTHING },
    [OP_MKDIR] = { "mkdir", NULL, child_mkdir, NOTHING, TEXT, NOTHING, NOTHING },
    [OP_SYMLINK] = { "symlink", NULL, child_symlink, TEXT, TEXT, NOTHING, NOTHING },
    [OP_MKNOD] = { "mknod", NULL, child_mknod, NOTHING, TEXT, NOTHING, NOTHING },
    [OP_WRITE_FILE] = { "write-file", NULL, child_write_file, { REFERENCE_BYTES, true }, TEXT, NOTHING, NOTHING },
    [OP_PIVOT] = { "pivot", NULL, child_pivot, NOTHING, NOTHING, NOTHING, NOTHING },
    [OP_CONSOLE] = { "console", NULL, child_console, NOTHING, NOTHING, NOTHING, NOTHING },
    [OP_REMOUNT] = { "remount", NULL, child_remount, NOTHING, TEXT, NOTHING, NOTHING },
    [OP_MASK] = { "mask", NULL, child_mask, NOTHING, TEXT, NOTHING, NOTHING },
    [OP_READONLY_PATH] = { "readonly-path", NULL, child_readonly_path, NOTHING, TEXT, NOTHING, NOTHING },
    [OP_SYSCTL] = { "sysctl", NULL, child_sysctl, TEXT, BYTES, NOTHING, NOTHING },

    [OP_UMASK] = { "umask", NULL, child_umask, NOTHING, NOTHING, NOTHING, NOTHING },
    [OP_WORKDIR] = { "workdir", NULL, child_workdir, NOTHING, TEXT, NOTHING, NOTHING },
    [OP_NO_NEW_PRIVS] = { "no-new-privs", NULL, child_no_new_privs, NOTHING, NOTHING, NOTHING, NOTHING },
    [OP_BOUNDING] = { "bounding", NULL, child_bounding, NOTHING, NOTHING, NOTHING, NOTHING },
    [OP_USER] = { "user", NULL, child_user, { REFERENCE_WORDS, true }, NOTHING, NOTHING, NOTHING },
    [OP_CAPABILITIES] = { "capabilities", NULL, child_capabilities, NOTHING, NOTHING, NOTHING, NOTHING },
    [OP_AMBIENT] = { "ambient", NULL, child_ambient, NOTHING, NOTHING, NOTHING, NOTHING },
    [OP_SECCOMP] = { "seccomp", NULL, child_seccomp, FILTERS, NOTHING, NOTHING, NOTHING },
    [OP_GATE] = { "gate", NULL, child_gate, NOTHING, NOTHING, NOTHING, NOTHING },
    [OP_INIT] = { "init", NULL, child_init, NOTHING, NOTHING, NOTHING, NOTHING },
    [OP_EXEC] = { "exec", NULL, child_exec, BLOCK, MAYBE_BLOCK, NOTHING, NOTHING },
    [OP_PERSONALITY] = { "personality", NULL, child_personality, NOTHING, NOTHING, NOTHING, NOTHING },
    [OP_SETSID] = { "setsid", NULL, child_setsid, NOTHING, NOTHING, NOTHING, NOTHING },
    [OP_PDEATHSIG] = { "pdeathsig", NULL, child_pdeathsig, NOTHING, NOTHING, NOTHING, NOTHING },
};

const struct operation *operation_of(unsigned int op)
{
    if (op >= sizeof(operations) / sizeof(operations[0]) || operations[op].name == NULL)
        return NULL;
    return &operations[op];
}

int program_open(const void *blob, size_t size, struct program *program, struct error *error)
{
    const struct program_header *header = blob;
    uint32_t clone = 0;

    if (size < sizeof(*header) || (uintptr_t)blob % 8 != 0)
        return fail_with(error, EINVAL, "launch program: no header");
    if (check_header(header, size, error) < 0)
        return -1;
    program->blob = blob;
    program->size = size;
    program->records = (const void *)(program->blob + header->records);
    program->count = header->count;
    if (find_clone(program, &clone, error) < 0)
        return -1;
    for (uint32_t index = 0; index < program->count; index++)
        if (check_record(program, index, clone, error) < 0)
            return -1;
    return 0;
}

static int check_header(const struct program_header *header, size_t size, struct error *error)
{
    if (header->magic != PROGRAM_MAGIC)
        return fail_with(error, EINVAL, "launch program: not one");
    if (header->version != PROTOCOL_VERSION)
        return fail_with(error, EPROTO, "launch program: version %u, this is %u", header->version, PROTOCOL_VERSION);
    if (header->total != size)
        return fail_with(error, EINVAL, "launch program: %zu bytes, header says %u", size, header->total);
    if (header->count == 0 || header->count > RECORDS_MAX || header->records % 8 != 0 || header->records < sizeof(*header))
        return fail_with(error, EINVAL, "launch program: records out of place");
    uint64_t end = header->records + (uint64_t)header->count * sizeof(struct program_record);
    if (end > header->data || header->data > header->total)
        return fail_with(error, EINVAL, "launch program: records beyond the data");
    return 0;
}

/* Exactly one CLONE, and the last record, nothing else, is EXEC: so no run of it can fall off the end. */
static int find_clone(const struct program *program, uint32_t *clone, struct error *error)
{
    uint32_t clones = 0;

    for (uint32_t index = 0; index < program->count; index++) {
        if (program->records[index].op == OP_CLONE) {
            *clone = index;
            clones++;
        }
        if ((program->records[index].op == OP_EXEC) != (index == program->count - 1))
            return refuse(error, program, index, "EXEC is the last record and no other");
    }
    if (clones != 1)
        return fail_with(error, EINVAL, "launch program: %u CLONE records", clones);
    return 0;
}

static int check_record(const struct program *program, uint32_t index, uint32_t clone, struct error *error)
{
    const struct program_record *record = &program->records[index];
    const struct operation *operation = operation_of(record->op);

    if (operation == NULL)
        return refuse(error, program, index, "unknown operation");
    if (check_side(program, index, clone, error) < 0)
        return -1;
    if (check_reference(program, record->a, operation->a, 'a', error) < 0 ||
        check_reference(program, record->b, operation->b, 'b', error) < 0 ||
        check_reference(program, record->c, operation->c, 'c', error) < 0 ||
        check_reference(program, record->d, operation->d, 'd', error) < 0) {
        error->op_index = (int)index;
        error->op = record->op;
        return -1;
    }
    return 0;
}

static int check_side(const struct program *program, uint32_t index, uint32_t clone, struct error *error)
{
    const struct program_record *record = &program->records[index];
    const struct operation *operation = operation_of(record->op);
    bool in_launcher = index < clone || (record->flags & OP_PARENT);

    if (index == clone)
        return 0;
    if (in_launcher && operation->launcher == NULL)
        return refuse(error, program, index, "not an operation of the launcher");
    if (!in_launcher && operation->child == NULL)
        return refuse(error, program, index, "not an operation of the child");
    if (record->op == OP_JOIN && index > clone)
        return refuse(error, program, index, "JOIN after CLONE");
    if (index < clone && (record->op == OP_PRLIMIT || record->op == OP_OOM_SCORE || record->op == OP_ID_MAPS))
        return refuse(error, program, index, "there is no child before CLONE");
    if (index > clone && in_launcher && record->op == OP_SETNS)
        return refuse(error, program, index, "the launcher's SETNS comes before CLONE");
    return 0;
}

static int check_reference(const struct program *program, uint32_t reference, struct reference_rule rule, char letter,
                           struct error *error)
{
    const struct program_header *header = (const void *)program->blob;
    uint32_t length;

    if (reference == 0) {
        if (rule.optional)
            return 0;
        return fail_with(error, EINVAL, "launch program: %c is missing", letter);
    }
    if (reference < header->data || reference > program->size || program->size - reference < sizeof(length) + 1)
        return fail_with(error, EINVAL, "launch program: %c is out of place", letter);
    memcpy(&length, program->blob + reference, sizeof(length));
    if (length > program->size - reference - sizeof(length) - 1)
        return fail_with(error, EINVAL, "launch program: %c is too long", letter);
    const char *bytes = (const char *)program->blob + reference + sizeof(length);
    if (bytes[length] != '\0')
        return fail_with(error, EINVAL, "launch program: %c has no end", letter);
    return check_content(bytes, length, rule.kind, letter, error);
}

static int check_content(const char *bytes, uint32_t length, unsigned char kind, char letter, struct error *error)
{
    bool good = true;

    switch (kind) {
    case REFERENCE_TEXT:
        good = memchr(bytes, '\0', length) == NULL;
        break;
    case REFERENCE_BLOCK:
        good = length == 0 || bytes[length - 1] == '\0';
        break;
    case REFERENCE_WORDS:
        good = length % sizeof(uint32_t) == 0;
        break;
    case REFERENCE_FILTERS:
        good = length > 0 && length % sizeof(struct sock_filter) == 0;
        break;
    default:
        break;
    }
    return good ? 0 : fail_with(error, EINVAL, "launch program: %c holds something else", letter);
}

static int refuse(struct error *error, const struct program *program, uint32_t index, const char *why)
{
    fail_with(error, EINVAL, "launch program: record %u (operation %u): %s", index, program->records[index].op, why);
    error->op_index = (int)index;
    error->op = program->records[index].op;
    return -1;
}

const char *program_bytes(const struct program *program, uint32_t reference, uint32_t *length)
{
    uint32_t read = 0;
    const char *bytes = NULL;

    if (reference != 0) {
        memcpy(&read, program->blob + reference, sizeof(read));
        bytes = (const char *)program->blob + reference + sizeof(read);
    }
    if (length)
        *length = read;
    return bytes;
}
