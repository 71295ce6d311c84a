// The parts of the Python module.
#pragma once

#include <nanobind/nanobind.h>

namespace wireloom {

void bind_graphs(nanobind::module_& m);
void bind_kernels(nanobind::module_& m);

// The instruction set in WIRELOOM_ISA (portable, avx2, avx512), or "" for the best one; throws for
// another word.
const char* asked_isa();

}  // namespace wireloom
