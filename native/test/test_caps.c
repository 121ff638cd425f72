/* Capability sets, each case in a child of its own. */
#include "caps.h"
#include "tap.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t had;

static bool in_child(int (*run)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(run());
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static int sets_exactly(void)
{
    struct error error;
    struct caps wanted = { .effective = 0x400, .permitted = 0x401, .inheritable = 0x1 };
    struct caps now;

    if (caps_set(&wanted, &error) < 0 || caps_get(&now, &error) < 0)
        return 1;
    return now.effective == 0x400 && now.permitted == 0x401 && now.inheritable == 0x1 ? 0 : 2;
}

static int leaves_out_what_it_cannot_have(void)
{
    struct error error;
    struct caps none = { .effective = 0x1, .permitted = 0x1, .inheritable = 0 };
    struct caps all = { .effective = ~0ull, .permitted = ~0ull, .inheritable = ~0ull };
    struct caps now;

    if (caps_set(&none, &error) < 0 || caps_set(&all, &error) < 0 || caps_get(&now, &error) < 0)
        return 1;
    return now.permitted == 0x1 && now.effective == 0x1 && now.inheritable == 0x1 ? 0 : 2;
}

static int reaches_the_upper_half(void)
{
    struct error error;
    uint64_t upper = had & ~0xffffffffull;
    struct caps wanted = { .effective = upper, .permitted = upper, .inheritable = 0 };
    struct caps now;

    if (upper == 0 || caps_set(&wanted, &error) < 0 || caps_get(&now, &error) < 0)
        return 1;
    return now.permitted == upper && now.effective == upper ? 0 : 2;
}

static int bounds(void)
{
    struct error error;

    if (caps_bound(0x400, &error) < 0)
        return 1;
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
        if (prctl(PR_CAPBSET_READ, capability) != (capability == 10))
            return 2;
    return 0;
}

static int raises_ambient(void)
{
    struct error error;
    struct caps wanted = { .effective = 0x401, .permitted = 0x401, .inheritable = 0x400 };

    if (caps_set(&wanted, &error) < 0 || caps_set_ambient(0x401, &error) < 0)
        return 1;
    return prctl(47, 1, 10, 0, 0) == 1 && prctl(47, 1, 0, 0, 0) == 0 ? 0 : 2;
}

static int refuses_bounding_without_right(void)
{
    struct error error = { .number = 0 };
    struct caps none = { .effective = 0 };

    return caps_set(&none, &error) == 0 && caps_bound(0, &error) < 0 && error.number == 1 ? 0 : 1;
}

int main(void)
{
    struct error error;
    struct caps now;

    ok(caps_get(&now, &error) == 0 && now.permitted != 0, "own sets are read (root is needed)");
    had = now.permitted;
    ok(in_child(sets_exactly), "effective, permitted and inheritable are set each by itself");
    ok(in_child(leaves_out_what_it_cannot_have), "what cannot be had is left out");
    ok(in_child(reaches_the_upper_half), "capabilities from 32 on");
    ok(in_child(bounds), "the bounding set keeps exactly the mask");
    ok(in_child(raises_ambient), "ambient needs permitted and inheritable");
    ok(in_child(refuses_bounding_without_right), "dropping from the bounding set needs CAP_SETPCAP");
    return done_testing();
}
