#include "restart.h"

static bool allowed(const struct restart *restart, uint32_t exit_code);
static uint32_t next_wait(uint32_t last, uint64_t ran_ms);

bool restart_again(struct restart *restart, uint32_t exit_code, uint64_t ran_ms)
{
    uint32_t wait = next_wait(restart->wait_ms, ran_ms);

    if (!allowed(restart, exit_code))
        return false;
    restart->wait_ms = wait;
    restart->count++;
    return true;
}

static bool allowed(const struct restart *restart, uint32_t exit_code)
{
    switch (restart->policy) {
    case RESTART_ALWAYS:
    case RESTART_UNLESS_STOPPED:
        return true;
    case RESTART_ON_FAILURE:
        return exit_code != 0 && (!restart->most || restart->count < restart->most);
    default:
        return false;
    }
}

static uint32_t next_wait(uint32_t last, uint64_t ran_ms)
{
    if (!last || ran_ms >= RESTART_CALM_MS)
        return RESTART_FIRST_MS;
    return last >= RESTART_MOST_MS / 2 ? RESTART_MOST_MS : last * 2;
}
