/* Operations of the child on namespaces, names and limits. */
#include "cgroup.h"
#include "child.h"
#include "kernel.h"
#include "scope.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define KERNEL_KEYCTL_JOIN_SESSION_KEYRING 1

int child_setns(struct child *child, const struct program_record *record, struct error *error)
{
    const char *path = program_bytes(child->program, record->a, NULL);
    scope_fd int namespace = open(path, O_RDONLY | O_CLOEXEC);

    if (namespace < 0)
        return fail(error, "open %s", path);
    return setns(namespace, (int)record->x) < 0 ? fail(error, "setns %s", path) : 0;
}

int child_unshare(struct child *child, const struct program_record *record, struct error *error)
{
    (void)child;
    return unshare((int)record->x) < 0 ? fail(error, "unshare %#llx", (unsigned long long)record->x) : 0;
}

int child_hostname(struct child *child, const struct program_record *record, struct error *error)
{
    uint32_t length;
    const char *name = program_bytes(child->program, record->a, &length);

    return sethostname(name, length) < 0 ? fail(error, "sethostname %s", name) : 0;
}

int child_domainname(struct child *child, const struct program_record *record, struct error *error)
{
    uint32_t length;
    const char *name = program_bytes(child->program, record->a, &length);

    return setdomainname(name, length) < 0 ? fail(error, "setdomainname %s", name) : 0;
}

int child_loopback_up(struct child *child, const struct program_record *record, struct error *error)
{
    (void)child;
    (void)record;
    return loopback_up(error);
}

int loopback_up(struct error *error)
{
    struct ifreq request = { .ifr_name = "lo" };
    scope_fd int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (any < 0 || ioctl(any, SIOCGIFFLAGS, &request) < 0)
        return fail(error, "flags of lo");
    request.ifr_flags |= IFF_UP;
    return ioctl(any, SIOCSIFFLAGS, &request) < 0 ? fail(error, "lo up") : 0;
}

int child_keyring(struct child *child, const struct program_record *record, struct error *error)
{
    const char *name = program_bytes(child->program, record->a, NULL);

    if (syscall(SYS_keyctl, KERNEL_KEYCTL_JOIN_SESSION_KEYRING, name) < 0)
        return fail(error, "session keyring %s", name ? name : "");
    return 0;
}

int child_cgroup_attach(struct child *child, const struct program_record *record, struct error *error)
{
    scope_fd int procs = cgroup_open_procs(program_bytes(child->program, record->a, NULL), error);

    return procs < 0 ? -1 : cgroup_attach(procs, 0, error);
}

int child_prlimit(struct child *child, const struct program_record *record, struct error *error)
{
    struct rlimit limit = { .rlim_cur = (rlim_t)record->y, .rlim_max = (rlim_t)record->z };

    (void)child;
    if (prlimit(0, (int)record->x, &limit, NULL) < 0)
        return fail(error, "limit %d to %llu, %llu", (int)record->x, (unsigned long long)record->y,
                    (unsigned long long)record->z);
    return 0;
}

int child_oom_score(struct child *child, const struct program_record *record, struct error *error)
{
    char value[24];

    if (child->proc < 0)
        return fail_with(error, ENOTSUP, "the OOM score of a joined process is its launcher's business");
    int length = snprintf(value, sizeof(value), "%lld", (long long)(int64_t)record->x);
    return write_control_file(child->proc, "self/oom_score_adj", value, (size_t)length, error);
}
