// What both operators on maps need: groups that share inputs, and memory kept from call to call.
#pragma once
#include "maps.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <new>
#include <vector>

namespace wireloom {
namespace WIRELOOM_BODY {

// Floats on a cache line's boundary, kept by each thread from call to call.
class Store {
public:
    float* floats(int64_t count) {
        if (count > size_) {
            held_.reset(new (std::align_val_t{64}) float[count]());
            size_ = count;
        }
        return held_.get();
    }

private:
    struct Free {
        void operator()(float* p) const { ::operator delete[](p, std::align_val_t{64}); }
    };
    std::unique_ptr<float[], Free> held_;
    int64_t size_ = 0;
};

// Groups that share no inputs with those of other spans, as the members of a population; and the
// inputs among which theirs are.
struct Span {
    int64_t begin, end, first, last;
};

// The shortest spans of a side's groups, `without` those that are alone.
inline std::vector<Span> spans_of(const Side& side, bool without) {
    const auto passed = [&](int64_t g) {
        return side.first[g] == side.first[g + 1] || (without && alone(side, g));
    };
    std::vector<Span> spans;
    std::vector<int64_t> least(side.groups + 1, std::numeric_limits<int64_t>::max());  // read from here on
    for (int64_t g = side.groups - 1; g >= 0; --g) {
        least[g] = passed(g) ? least[g + 1] : std::min(least[g + 1], side.node(side.first[g]));
    }
    int64_t most = -1;
    for (int64_t g = 0; g < side.groups; ++g) {
        if (passed(g)) continue;  // belongs to whom it follows
        if (spans.empty())
            spans.push_back({0, 0, side.left[least[g]], 0});
        else if (most < least[g])
            spans.back().end = g, spans.push_back({g, 0, side.left[least[g]], 0});
        most = std::max(most, side.node(side.first[g + 1] - 1));
        spans.back().last = side.left[most + 1];
    }
    if (!spans.empty()) spans.back().end = side.groups;
    return spans;
}

}  // namespace WIRELOOM_BODY
}  // namespace wireloom
