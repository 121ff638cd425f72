/* Operations of the child that make a directory its root. */
#include "child.h"
#include "kernel.h"
#include "scope.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int mount_overlay(const char *target, const char *options, struct error *error);
static int mount_long_overlay(const char *target, char *options, struct error *error);
static int configure_overlay(int context, char *options, struct error *error);
static int configure_option(int context, char *option, struct error *error);
static int add_lower_layers(int context, char *layers, struct error *error);
static char *split_at(char *text, char separator);
static void unescape(char *text);

int child_root_propagation(struct child *child, const struct program_record *record, struct error *error)
{
    (void)child;
    return mount(NULL, "/", NULL, record->x, NULL) < 0 ? fail(error, "propagation of /") : 0;
}

int child_rootfs(struct child *child, const struct program_record *record, struct error *error)
{
    const char *directory = program_bytes(child->program, record->a, NULL);
    const char *options = program_bytes(child->program, record->b, NULL);

    if (options) {
        if (mount_overlay(directory, options, error) < 0)
            return -1;
    } else if (mount(directory, directory, NULL, MS_BIND | MS_REC, NULL) < 0) {
        return fail(error, "bind of %s on itself", directory);
    }
    close_scoped(&child->root);
    child->root = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return child->root < 0 ? fail(error, "open %s", directory) : 0;
}

/* mount(2) takes one page of options; many layers need the longer way. */
static int mount_overlay(const char *target, const char *options, struct error *error)
{
    if (strlen(options) < (size_t)sysconf(_SC_PAGESIZE))
        return mount("overlay", target, "overlay", 0, options) < 0 ? fail(error, "overlay on %s", target) : 0;
    scope_mem char *copy = strdup(options);
    if (copy == NULL)
        return fail(error, "memory");
    return mount_long_overlay(target, copy, error);
}

static int mount_long_overlay(const char *target, char *options, struct error *error)
{
    scope_fd int context = kernel_fsopen("overlay");

    if (context < 0)
        return fail(error, "fsopen overlay");
    if (configure_overlay(context, options, error) < 0)
        return -1;
    if (kernel_fsconfig(context, KERNEL_FSCONFIG_CREATE, NULL, NULL) < 0)
        return fail(error, "overlay on %s", target);
    scope_fd int mount = kernel_fsmount(context, 0);
    scope_fd int directory = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (mount < 0 || directory < 0 || kernel_move_mount(mount, directory) < 0)
        return fail(error, "overlay on %s", target);
    return 0;
}

static int configure_overlay(int context, char *options, struct error *error)
{
    for (char *option = options, *next; option; option = next) {
        next = split_at(option, ',');
        if (configure_option(context, option, error) < 0)
            return -1;
    }
    return 0;
}

static int configure_option(int context, char *option, struct error *error)
{
    char *value = strchr(option, '=');

    if (value)
        *value++ = '\0';
    if (strcmp(option, "lowerdir") == 0 && value)
        return add_lower_layers(context, value, error);
    if (value)
        unescape(value);
    if (kernel_fsconfig(context, value ? KERNEL_FSCONFIG_STRING : KERNEL_FSCONFIG_FLAG, option, value) < 0)
        return fail(error, "overlay option %s", option);
    return 0;
}

/* "lowerdir+" is of Linux 6.5. An older kernel has no other way for so many: the caller shortens the names. */
static int add_lower_layers(int context, char *layers, struct error *error)
{
    for (char *layer = layers, *next; layer; layer = next) {
        next = split_at(layer, ':');
        unescape(layer);
        if (kernel_fsconfig(context, KERNEL_FSCONFIG_STRING, "lowerdir+", layer) < 0)
            return fail(error, "overlay layer %s", layer);
    }
    return 0;
}

/* Ends `text` at the next separator that has no backslash before it; returns what follows, or NULL. */
static char *split_at(char *text, char separator)
{
    for (char *at = text; *at; at++) {
        if (*at == '\\' && at[1])
            at++;
        else if (*at == separator) {
            *at = '\0';
            return at + 1;
        }
    }
    return NULL;
}

static void unescape(char *text)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        if (*from == '\\' && from[1])
            from++;
        *to++ = *from;
    }
    *to = '\0';
}

/* pivot_root(2), "pivot_root(".", ".")": the old root ends up on top of the new one and is taken off. */
int child_pivot(struct child *child, const struct program_record *record, struct error *error)
{
    scope_fd int former = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    (void)record;
    if (child->root < 0)
        return fail_with(error, EINVAL, "there is no root yet");
    if (keep_null_mount(child, error) < 0)
        return -1;
    if (former < 0 || fchdir(child->root) < 0)
        return fail(error, "chdir to the root");
    if (syscall(SYS_pivot_root, ".", ".") < 0)
        return fail(error, "pivot_root");
    /* Nothing that goes off here may go off on the host. */
    if (fchdir(former) < 0 || mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0)
        return fail(error, "propagation of the former root");
    if (umount2(".", MNT_DETACH) < 0)
        return fail(error, "umount of the former root");
    return chdir("/") < 0 ? fail(error, "chdir /") : 0;
}
