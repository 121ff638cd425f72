/* SERVE_REMOVE_CGROUPS and SERVE_REMOVE_TREE: both may wait for the kernel, so both are jobs. */
#include "cgroup_end.h"
#include "scope.h"
#include "serve.h"
#include "tree.h"

#define CGROUPS_MOST_MS 5000

static int remove_cgroups(void *input, uint32_t *value, struct error *error)
{
    (void)value;
    return cgroups_remove(input, CGROUPS_MOST_MS, error);
}

int request_remove_cgroups(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error)
{
    uint32_t length;
    const unsigned char *block = take_bytes(fields, &length);
    scope_mem char **directories = block ? block_strings(block, length) : NULL;
    struct job_request job = {.id = header->id, .type = header->type, .work = remove_cgroups, .input = directories, .kept = -1};

    if (!directories || !fields_done(fields))
        return malformed(error);
    job_start(serve, &job);
    return 0;
}

static int remove_tree(void *input, uint32_t *value, struct error *error)
{
    (void)value;
    return tree_unmount_and_remove(input, error);
}

int request_remove_tree(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error)
{
    scope_mem char *path = take_text(fields);
    struct job_request job = {.id = header->id, .type = header->type, .work = remove_tree, .input = path, .kept = -1};

    if (!fields_done(fields))
        return malformed(error);
    job_start(serve, &job);
    return 0;
}
