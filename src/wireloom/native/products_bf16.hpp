// The product on bfloat16 by matrix units, for the processors that have them.
#pragma once

#include "plans.hpp"

namespace wireloom {

struct Bf16Args {
    PlanLists plan;
    bool back;
    const uint16_t* weights;  // [weights], row by row
    const uint16_t* x;        // [inputs, batch]
    uint16_t* y;              // [outputs, batch]
    int64_t batch;
};

// Whether this processor, and its kernel, let this process use them.
bool bf16_served();
void product_bf16(const Bf16Args& args, int threads);

}  // namespace wireloom
