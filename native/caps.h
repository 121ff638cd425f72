/* Capability sets as 64-bit masks, bit n for capability n (capabilities(7)). */
#ifndef TSCOMPOSE_CAPS_H
#define TSCOMPOSE_CAPS_H

#include "error.h"

#include <stdint.h>

struct caps {
    uint64_t effective;
    uint64_t permitted;
    uint64_t inheritable;
};

int caps_get(struct caps *caps, struct error *error);
/* What the process may not have is left out, as the runtime specification asks since 1.1; the caller has warned. */
int caps_set(const struct caps *caps, struct error *error);
/* Drops every capability that is not in `kept`, up to the kernel's last. */
int caps_bound(uint64_t kept, struct error *error);
/* Exactly those of `mask` that are permitted and inheritable. */
int caps_set_ambient(uint64_t mask, struct error *error);

#endif
