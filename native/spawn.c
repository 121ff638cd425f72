/* SERVE_SPAWN_SHIM: the shim is forked from serve, so nothing is executed or read for it; its program is in memory already. */
#include "serve.h"

#include "scope.h"
#include "shim.h"

#include <errno.h>
#include <string.h>

static int take_shim_fields(struct fields *fields, struct shim_fields *shim, struct error *error);
static int become_shim(void *input, uint32_t *value, struct error *error);
static void spawned(struct serve *serve, uint32_t id, uint16_t type, void *context, uint32_t value, const struct error *error);

int request_spawn_shim(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error)
{
    struct shim_fields shim = {0};
    struct job_request job = {.id = header->id, .type = header->type, .work = become_shim, .input = &shim, .kept = -1, .done = spawned};
    int result = take_shim_fields(fields, &shim, error);

    if (!result)
        job_start(serve, &job);
    free(shim.directory);
    free(shim.log);
    free(shim.namespace_path);
    free(shim.cgroups);
    free(shim.reviver);
    free(shim.program);
    return result;
}

static char **take_block(struct fields *fields)
{
    uint32_t length;
    const unsigned char *block = take_bytes(fields, &length);
    char **strings = block ? block_strings(block, length) : NULL;

    if (!strings)
        fields->bad = true;
    return strings;
}

static int take_shim_fields(struct fields *fields, struct shim_fields *shim, struct error *error)
{
    const unsigned char *program;

    shim->directory = take_text(fields);
    shim->log = take_text(fields);
    shim->rotate_bytes = take_u64(fields);
    shim->keep = take_u32(fields);
    shim->network = take_u32(fields);
    shim->namespace_path = take_text(fields);
    shim->policy = take_u32(fields);
    shim->most_restarts = take_u32(fields);
    shim->flags = take_u32(fields);
    shim->stop_signal = take_u32(fields);
    shim->grace_ms = take_u64(fields);
    shim->cgroups = take_block(fields);
    shim->reviver = take_block(fields);
    program = take_bytes(fields, &shim->program_length);
    if (!fields_done(fields))
        return malformed(error);
    shim->program = malloc(shim->program_length);
    if (!shim->program)
        return fail_with(error, ENOMEM, "launch program");
    memcpy(shim->program, program, shim->program_length);
    return 0;
}

/* The report has the form of a job's: shim_main writes the error, its own pid is the value. */
static int become_shim(void *input, uint32_t *value, struct error *error)
{
    (void)value;
    (void)error;
    shim_main(input, JOB_REPORT_FD);
}

static void spawned(struct serve *serve, uint32_t id, uint16_t type, void *context, uint32_t value, const struct error *error)
{
    (void)context;
    if (error->number)
        serve_error(serve, id, error);
    else
        serve_value(serve, id, type, value);
}
