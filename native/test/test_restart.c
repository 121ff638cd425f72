#include "restart.h"
#include "tap.h"

#include <stddef.h>

static const struct {
    const char *name;
    struct restart restart;
    uint32_t exit_code;
    uint64_t ran_ms;
    bool again;
    uint32_t wait_ms;
} cases[] = {
    {"no: never, after a failure", {.policy = RESTART_NO}, 1, 0, false, 0},
    {"always: after a success", {.policy = RESTART_ALWAYS}, 0, 0, true, 100},
    {"unless-stopped: after a success", {.policy = RESTART_UNLESS_STOPPED}, 0, 0, true, 100},
    {"on-failure: not after a success", {.policy = RESTART_ON_FAILURE}, 0, 0, false, 0},
    {"on-failure: after a failure", {.policy = RESTART_ON_FAILURE}, 1, 0, true, 100},
    {"on-failure: the last of the most", {.policy = RESTART_ON_FAILURE, .most = 3, .count = 2, .wait_ms = 200}, 1, 0, true, 400},
    {"on-failure: not beyond the most", {.policy = RESTART_ON_FAILURE, .most = 3, .count = 3, .wait_ms = 400}, 1, 0, false, 400},
    {"on-failure without a most goes on", {.policy = RESTART_ON_FAILURE, .count = 1000, .wait_ms = 60000}, 1, 0, true, 60000},
    {"a run just below ten seconds doubles", {.policy = RESTART_ALWAYS, .wait_ms = 800}, 1, 9999, true, 1600},
    {"a run of ten seconds starts over", {.policy = RESTART_ALWAYS, .wait_ms = 60000}, 1, 10000, true, 100},
    {"no wait is longer than a minute", {.policy = RESTART_ALWAYS, .wait_ms = 51200}, 1, 0, true, 60000},
    {"an unknown policy never", {.policy = 9}, 1, 0, false, 0},
};

static void check_sequence(void)
{
    static const uint32_t waits[] = {100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000};
    struct restart restart = {.policy = RESTART_ALWAYS};

    for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++)
        ok(restart_again(&restart, 1, 0) && restart.wait_ms == waits[i] && restart.count == i + 1, "wait %zu is %u ms", i + 1, waits[i]);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct restart restart = cases[i].restart;
        bool again = restart_again(&restart, cases[i].exit_code, cases[i].ran_ms);

        ok(again == cases[i].again && restart.wait_ms == cases[i].wait_ms && restart.count == cases[i].restart.count + again, "%s", cases[i].name);
    }
    check_sequence();
    return done_testing();
}
