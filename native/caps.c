#include "caps.h"

#include "kernel.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>

#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT 47
#define PR_CAP_AMBIENT_RAISE 2
#define PR_CAP_AMBIENT_CLEAR_ALL 4
#endif

static uint64_t joined(uint32_t low, uint32_t high);

int caps_get(struct caps *caps, struct error *error)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &header, data) < 0)
        return fail(error, "capget");
    caps->effective = joined(data[0].effective, data[1].effective);
    caps->permitted = joined(data[0].permitted, data[1].permitted);
    caps->inheritable = joined(data[0].inheritable, data[1].inheritable);
    return 0;
}

static uint64_t joined(uint32_t low, uint32_t high)
{
    return low | (uint64_t)high << 32;
}

int caps_set(const struct caps *caps, struct error *error)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2];
    struct caps now;

    if (caps_get(&now, error) < 0)
        return -1;
    uint64_t permitted = caps->permitted & now.permitted;
    uint64_t effective = caps->effective & permitted;
    uint64_t inheritable = caps->inheritable & (now.permitted | now.inheritable);
    for (int half = 0; half < 2; half++) {
        data[half].effective = (uint32_t)(effective >> (32 * half));
        data[half].permitted = (uint32_t)(permitted >> (32 * half));
        data[half].inheritable = (uint32_t)(inheritable >> (32 * half));
    }
    return syscall(SYS_capset, &header, data) < 0 ? fail(error, "capset") : 0;
}

int caps_bound(uint64_t kept, struct error *error)
{
    for (unsigned int capability = 0; capability < 64; capability++) {
        if (kept >> capability & 1)
            continue;
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0)
            continue;
        /* EINVAL: beyond the kernel's last. */
        return errno == EINVAL ? 0 : fail(error, "dropping capability %u", capability);
    }
    return 0;
}

int caps_set_ambient(uint64_t mask, struct error *error)
{
    struct caps now;

    if (caps_get(&now, error) < 0)
        return -1;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return fail(error, "clearing the ambient capabilities");
    for (unsigned int capability = 0; capability < 64; capability++)
        if ((mask & now.permitted & now.inheritable) >> capability & 1 &&
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0)
            return fail(error, "raising ambient capability %u", capability);
    return 0;
}
