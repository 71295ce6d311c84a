// Measures of a graph from its rows of bits: clustering and distances.
#pragma once

#include <cstdint>

#include "rows.hpp"

namespace wireloom {

struct Measures {
    double clustering = 0.0;   // mean local clustering coefficient; meant for graphs joined both ways
    double path_length = 0.0;  // mean over ordered pairs of the distance, 0 where there is no path
    double efficiency = 0.0;   // mean over ordered pairs of 1 / distance, 0 where there is no path
    int64_t apart = 0;         // ordered pairs without a path
};

// `directed` says that rows are not joined both ways. The bodies give the same bits. `lanes` needs 512-bit vectors that count bits.
namespace words {
Measures measure(const BitRows& rows, bool directed, int threads);
}
namespace lanes {
Measures measure(const BitRows& rows, bool directed, int threads);
}

using MeasureBody = Measures (*)(const BitRows&, bool directed, int threads);

}  // namespace wireloom
