// The two operators: the product and the outer product that gives its weights' gradient.
//
// Work is cut into tasks: some receivers (or senders, for the transposed product) by a panel of the
// batch. A task copies the input rows that it reads into a panel of its own, each once and when
// first read, so that they lie side by side; and lists, group by group, where each input and its
// weights are.
#include "kernels.hpp"
#include "vectors.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

namespace wireloom {
namespace WIRELOOM_BODY {
namespace {

constexpr int kHeight = kLanes == 16 ? 13 : kRows;  // most rows of a tile two vectors wide
constexpr int64_t kLargest = int64_t{1} << 19;  // floats of the largest panel that is copied
constexpr int64_t kNear = int64_t{1} << 18;     // floats of input that the second cache should hold
constexpr int64_t kShort = 128;                 // columns of a batch whose rows are read where they are
constexpr int64_t kSmall = int64_t{1} << 15;    // floats of a panel that needs no copy, if it is read little
constexpr int64_t kTaskRows = 2048;             // output rows of a task, about
constexpr int64_t kGroups = 2048;               // most groups of a task

// Memory of one thread, kept for the next call.
template <class T>
class Scratch {
public:
    T* of(int64_t size) {
        if (size > size_) {
            size_ = size + size / 4;
            const size_t bytes = (size_ * sizeof(T) + 63) / 64 * 64;
            memory_.reset(static_cast<T*>(std::aligned_alloc(64, bytes)));
            if (!memory_) std::abort();
        }
        return memory_.get();
    }

private:
    struct Free {
        void operator()(T* p) const { std::free(p); }
    };
    std::unique_ptr<T, Free> memory_;
    int64_t size_ = 0;
};

inline int64_t rounded(int64_t value) { return (value + kLanes - 1) / kLanes * kLanes; }

// ---- the product -----------------------------------------------------------------------------

// The inputs of some rows that share them. The weight of row r and input k lies at
// weights[at[k] + r] if there is `at`, else at weights[k + r * row_stride].
struct Group {
    const int32_t* inputs;
    int64_t count;
    const int64_t* at;
    const float* weights;
    int64_t row_stride;
    const float* x;  // input i begins at x + i * x_stride
    int64_t x_stride;
};

// R rows by V vectors; or, with `Part`, by V - 1 and the first `kept` lanes of one more.
template <int R, int V, bool Part, int... I, int... J>
[[gnu::always_inline]] inline void product_tile(const Group& g, const float* bias, int64_t b, float* y, int64_t y_stride, int64_t kept,
                         std::integer_sequence<int, I...>, std::integer_sequence<int, J...>) {
    // Written without loops over the sums, so that no compiler keeps them in memory.
    Vec sums[R * V] = {spread(bias ? bias[I / V] : 0.0f)...};
    const float* x = g.x + b;
    auto add = [&](int64_t k, const float* weight, int64_t step) __attribute__((always_inline)) {
        const float* row = x + g.inputs[k] * g.x_stride;
        const Vec values[V] = {(Part && J == V - 1 ? load_some(row + J * kLanes, kept) : load(row + J * kLanes))...};
        ((sums[I] += spread(weight[I / V * step]) * values[I % V]), ...);
    };
    if (g.at)
        for (int64_t k = 0; k < g.count; ++k) add(k, g.weights + g.at[k], 1);
    else
        for (int64_t k = 0; k < g.count; ++k) add(k, g.weights + k, g.row_stride);
    ((Part && I % V == V - 1 ? store_some(y + I / V * y_stride + I % V * kLanes, sums[I], kept)
                             : store(y + I / V * y_stride + I % V * kLanes, sums[I])),
     ...);
}

template <int R, int V, bool Part = false>
[[gnu::always_inline]] inline void tile(const Group& g, const float* bias, int64_t b, float* y, int64_t y_stride, int64_t kept = kLanes) {
    product_tile<R, V, Part>(g, bias, b, y + b, y_stride, kept, std::make_integer_sequence<int, R * V>{},
                             std::make_integer_sequence<int, V>{});
}

template <int R>
void product_rows(const Group& g, const float* bias, float* y, int64_t y_stride, int64_t width) {
    // Few rows need more columns to keep the multipliers busy.
    constexpr int V = R == 1 ? 8 : R <= kRows && kLanes == 16 ? 4 : 2;
    int64_t b = 0;
    for (; b + V * kLanes <= width; b += V * kLanes) tile<R, V>(g, bias, b, y, y_stride);
    if constexpr (V > 2)
        for (; b + 2 * kLanes <= width; b += 2 * kLanes) tile<R, 2>(g, bias, b, y, y_stride);
    for (; b + kLanes <= width; b += kLanes) tile<R, 1>(g, bias, b, y, y_stride);
    if (b < width) tile<R, 1, true>(g, bias, b, y, y_stride, width - b);
}

using Rows = void (*)(const Group&, const float*, float*, int64_t, int64_t);
template <int... R>
constexpr std::array<Rows, kHeight + 1> every_height(std::integer_sequence<int, R...>) {
    return {nullptr, product_rows<R + 1>...};
}
constexpr std::array<Rows, kHeight + 1> kByRows = every_height(std::make_integer_sequence<int, kHeight>{});

// One direction of a plan: groups of output rows, and the nodes that each reads.
template <class Index>
struct Side {
    Side(const PlanLists& plan, bool back)
        : plan(plan),
          back(back),
          groups(back ? plan.senders_ : plan.receivers),
          nodes(back ? plan.receivers : plan.senders_),
          top(back ? plan.column_start : plan.row_start),
          left(back ? plan.row_start : plan.column_start),
          first(back ? plan.back_start : plan.block_start),
          reads(static_cast<const Index*>(back ? plan.receivers_of : plan.senders)),
          single(left[nodes] == nodes) {}

    // Inputs of group g, counted from `low`; and, going back, where their weights are.
    int64_t list(int64_t g, int64_t low, int32_t* inputs, int64_t* at) const {
        const Index* places = static_cast<const Index*>(plan.places);
        if (single) {  // loops that a compiler makes vectors of
            const int64_t from = first[g], count = first[g + 1] - from;
            for (int64_t i = 0; i < count; ++i) inputs[i] = static_cast<int32_t>(reads[from + i] - low);
            for (int64_t i = 0; back && i < count; ++i)
                at[i] = plan.weight_first[reads[from + i]] + places[from + i];
            return count;
        }
        int64_t k = 0;
        for (int64_t b = first[g]; b < first[g + 1]; ++b) {
            const int64_t node = reads[b];
            const int32_t begin = static_cast<int32_t>(left[node] - low), size = left[node + 1] - left[node];
            for (int32_t i = 0; i < size; ++i) inputs[k + i] = begin + i;
            if (back) {
                const int64_t start = plan.weight_first[node];
                const int64_t step = size == 1 ? 0 : (plan.weight_first[node + 1] - start) / size;
                int64_t place = start + places[b];
                for (int32_t i = 0; i < size; ++i, place += step) at[k + i] = place;
            }
            k += size;
        }
        return k;
    }

    const PlanLists& plan;
    bool back;
    int64_t groups, nodes;
    const int32_t *top, *left, *first;
    const Index* reads;
    bool single;  // whether every node has one input
};

// Columns [b, b + width) of the rows of one node, side by side at `to`.
void copy_rows(const float* from, int64_t rows, int64_t batch, int64_t width, float* to) {
    const int64_t whole = width / kLanes * kLanes, stride = rounded(width);
    for (int64_t i = 0; i < rows; ++i, from += batch, to += stride) {
        for (int64_t b = 0; b < whole; b += kLanes) store(to + b, load(from + b));
        if (whole < width) store(to + whole, load_some(from + whole, width - whole));
    }
}

// Columns that a panel should have: little enough for the inputs of a group to stay in the nearest
// cache, and more where groups are so low that their tiles are wide.
int64_t panel_width(int64_t rows, int64_t groups) {
    return kLanes * (rows <= 3 * groups ? 8 : rows <= kRows * groups ? 4 : 2);
}

template <class Index>
void run_product(const ProductArgs& a, int threads) {
    const Side<Index> side(a.plan, a.back);
    const int64_t panel = panel_width(side.top[side.groups], side.groups);
    const int64_t panels = (a.batch + panel - 1) / panel;
    // Tasks: a few for each thread. Each copies the inputs that it reads, so it should have many
    // rows; where these make too few tasks, panels are shared out too, and then fewer rows.
    const int64_t wanted = threads > 1 ? 4 * threads : 1;
    const int64_t most = std::clamp<int64_t>(kTaskRows * side.groups / side.top[side.groups], 1, kGroups);
    int64_t chunks = (side.groups + most - 1) / most;
    const int64_t parts = std::clamp<int64_t>((wanted + chunks - 1) / chunks, 1, std::max<int64_t>(1, panels));
    chunks = std::clamp<int64_t>((wanted + parts - 1) / parts, chunks, std::max(chunks, side.groups / 8));
    const int64_t size = (side.groups + chunks - 1) / chunks;
    chunks = (side.groups + size - 1) / size;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int64_t task = 0; task < chunks * parts; ++task) {
        static thread_local Scratch<float> panel_memory;
        static thread_local Scratch<int32_t> input_memory;
        static thread_local Scratch<int64_t> place_memory;
        static thread_local Scratch<char> copied_memory;
        const int64_t begin = task / parts * size, end = std::min(side.groups, begin + size);
        // The nodes that the task reads lie between the first and the last of its groups' own.
        int64_t low = side.nodes, high = -1, entries = 0;
        for (int64_t g = begin; g < end; ++g) {
            const int64_t from = side.first[g], to = side.first[g + 1];
            if (from == to) continue;
            low = std::min<int64_t>(low, side.reads[from]);
            high = std::max<int64_t>(high, side.reads[to - 1]);
            if (side.single)
                entries += to - from;
            else
                for (int64_t i = from; i < to; ++i) entries += side.left[side.reads[i] + 1] - side.left[side.reads[i]];
        }
        const int64_t lowest = high < 0 ? 0 : side.left[low];
        const int64_t span = high < 0 ? 0 : side.left[high + 1] - lowest;
        int32_t* inputs = input_memory.of(entries);
        int64_t* at = a.back ? place_memory.of(entries) : nullptr;
        int64_t counts[kGroups];
        int64_t weights_read = 0;
        for (int64_t g = begin, done = 0; g < end; ++g) {
            done += counts[g - begin] = side.list(g, lowest, inputs + done, at ? at + done : nullptr);
            weights_read += counts[g - begin] * (side.top[g + 1] - side.top[g]);
        }
        // As many panels at a time as fit the second cache beside the weights, which pass once for
        // all; but one at a time, in the nearest cache, where the weights are few beside its inputs.
        // Few inputs that few weights read are not worth a copy either.
        const bool few = weights_read <= 4 * span * panel;
        const int64_t whole = few ? 1 : std::max<int64_t>(1, kNear / (span * panel));
        const bool copies = a.batch > std::max(panel, kShort) && span && span * panel <= kLargest &&
                            !(few && span * panel <= kSmall);
        const int64_t last = (task % parts + 1) * panels / parts;
        for (int64_t p = task % parts * panels / parts; p < last; p += whole) {
            const int64_t from = p * panel, until = std::min(a.batch, std::min(last, p + whole) * panel);
            float* memory = copies ? panel_memory.of(span * rounded(until - from)) : nullptr;
            char* copied = copies ? copied_memory.of(high - low + 1) : nullptr;
            if (copies) std::fill(copied, copied + (high - low + 1), 0);
            Group group{inputs, 0, at, nullptr, 0, nullptr, 0};
            for (int64_t g = begin; g < end; ++g) {
                for (int64_t i = side.first[g]; copies && i < side.first[g + 1]; ++i) {
                    const int64_t node = side.reads[i];
                    if (copied[node - low]) continue;
                    copied[node - low] = 1;
                    const int64_t row = side.left[node], rows = side.left[node + 1] - row;
                    for (int64_t b = from; b < until; b += panel)
                        copy_rows(a.x + row * a.batch + b, rows, a.batch, std::min(panel, until - b),
                                  memory + (b - from) * span + (row - lowest) * rounded(std::min(panel, until - b)));
                }
                const int64_t first = side.top[g], rows = side.top[g + 1] - first;
                const int64_t tiles = (rows + kHeight - 1) / kHeight;
                group.count = group.row_stride = counts[g - begin];
                const float* weights = a.back ? a.weights : a.weights + a.plan.weight_first[g];
                for (int64_t b = from; b < until; b += panel) {
                    const int64_t width = std::min(panel, until - b);
                    group.x = copies ? memory + (b - from) * span : a.x + lowest * a.batch + b;
                    group.x_stride = copies ? rounded(width) : a.batch;
                    for (int64_t t = 0; t < tiles; ++t) {  // tiles of nearly equal height: 14 rows are 7 + 7
                        const int64_t top = rows * t / tiles, height = rows * (t + 1) / tiles - top;
                        group.weights = weights + (a.back ? top : top * group.count);
                        kByRows[height](group, a.bias ? a.bias + first + top : nullptr,
                                        a.y + (first + top) * a.batch + b, a.batch, width);
                    }
                }
                group.inputs += group.count;
                if (at) group.at += group.count;
            }
        }
    }
}

void product(const ProductArgs& a, int threads) {
    if (a.plan.wide)
        run_product<uint32_t>(a, threads);
    else
        run_product<uint16_t>(a, threads);
}

// ---- the outer product -----------------------------------------------------------------------

// A tile of R rows and kLanes / R inputs: as many sums as a vector has lanes, so that one tree of
// additions finishes all of them. With `Part`, the width is not a whole number of vectors.
template <int R, bool Part, int... I, int... J, int... K>
[[gnu::always_inline]] inline Vec outer_tile(const float* dy, int64_t batch, const float* const* x, int64_t width,
                                             std::integer_sequence<int, I...>, std::integer_sequence<int, J...>,
                                             std::integer_sequence<int, K...>) {
    constexpr int inputs = kLanes / R;
    Vec sums[kLanes] = {(void(I), Vec{})...};
    auto add = [&](auto read) __attribute__((always_inline)) {
        const Vec gradients[R] = {read(dy + J * batch)...};
        const Vec values[inputs] = {held(read(x[K]))...};
        ((I < R * inputs ? void(sums[I] += gradients[I / inputs % R] * values[I % inputs]) : void()), ...);
    };
    int64_t b = 0;
    for (; b + kLanes <= width; b += kLanes) add([b](const float* from) { return load(from + b); });
    if constexpr (Part) add([b, width](const float* from) { return load_some(from + b, width - b); });
    return sum_each(sums);
}

struct OuterGroup {
    const float* dy;  // of the first row of the first tile
    const float* x;
    int64_t batch, width;
    const int32_t* inputs;
    int64_t count;
    float* gradient;
    bool add;  // to what is there
};

// Tiles of R rows, all by the same inputs before the next ones: these stay near.
template <int R, bool Part>
void outer_rows(const OuterGroup& g, int64_t tiles) {
    constexpr int K = kLanes / R;
    for (int64_t k = 0; k < g.count; k += K) {
        const int64_t kept = std::min<int64_t>(K, g.count - k);
        const float* x[K];
        for (int64_t i = 0; i < K; ++i) x[i] = g.x + g.inputs[k + std::min(i, kept - 1)] * g.batch;
        for (int64_t t = 0; t < tiles; ++t) {
            float totals[kLanes];
            store(totals, outer_tile<R, Part>(g.dy + t * R * g.batch, g.batch, x, g.width,
                                              std::make_integer_sequence<int, kLanes>{},
                                              std::make_integer_sequence<int, R>{},
                                              std::make_integer_sequence<int, K>{}));
            float* to = g.gradient + t * R * g.count + k;
            if (kept == K && !g.add)
                for (int r = 0; r < R; ++r) std::memcpy(to + r * g.count, totals + r * K, K * sizeof(float));
            else
                for (int r = 0; r < R; ++r)
                    for (int64_t i = 0; i < kept; ++i)
                        to[r * g.count + i] = totals[r * K + i] + (g.add ? to[r * g.count + i] : 0.0f);
        }
    }
}

using OuterRows = void (*)(const OuterGroup&, int64_t);
template <bool Part, int... R>
constexpr std::array<OuterRows, kOuterRows + 1> every_outer_height(std::integer_sequence<int, R...>) {
    return {nullptr, outer_rows<R + 1, Part>...};
}
constexpr std::array<OuterRows, kOuterRows + 1> kByOuterRows[2] = {
    every_outer_height<false>(std::make_integer_sequence<int, kOuterRows>{}),
    every_outer_height<true>(std::make_integer_sequence<int, kOuterRows>{})};

constexpr int64_t kSlab = 256;  // columns of the batch that are summed at a time, up to twice as many

template <class Index>
void run_outer(const OuterArgs& a, int threads) {
    const Side<Index> side(a.plan, false);
    const int64_t slabs = std::max<int64_t>(1, a.batch / kSlab), slab = rounded((a.batch + slabs - 1) / slabs);
#pragma omp parallel for schedule(dynamic, 4) num_threads(threads)
    for (int64_t g = 0; g < side.groups; ++g) {
        static thread_local Scratch<int32_t> input_memory;
        const int64_t first = side.top[g], rows = side.top[g + 1] - first;
        const int64_t begin = a.plan.weight_first[g], count = (a.plan.weight_first[g + 1] - begin) / rows;
        int32_t* inputs = input_memory.of(count);
        side.list(g, 0, inputs, nullptr);
        // Tiles of nearly equal height: `high` of them have a row more than the others.
        const int64_t tiles = (rows + kOuterRows - 1) / kOuterRows, low = rows / tiles, high = rows - low * tiles;
        int64_t b = 0;
        do {
            const int64_t width = std::min(slab, a.batch - b);
            const auto& by_rows = kByOuterRows[width % kLanes != 0];
            OuterGroup group{a.dy + first * a.batch + b, a.x + b, a.batch, width, inputs, count, a.gradient + begin,
                             b > 0};
            if (high) by_rows[low + 1](group, high);
            group.dy += high * (low + 1) * a.batch, group.gradient += high * (low + 1) * count;
            by_rows[low](group, tiles - high);
            b += slab;
        } while (b < a.batch);
    }
}

void outer(const OuterArgs& a, int threads) {
    if (a.plan.wide)
        run_outer<uint32_t>(a, threads);
    else
        run_outer<uint16_t>(a, threads);
}

// ---- the most that a processor can do --------------------------------------------------------

template <int... I>
Vec multiply_add(int64_t rounds, float by, float plus, std::integer_sequence<int, I...>) {
    const Vec factor = spread(by), addend = spread(plus);
    Vec sums[sizeof...(I)] = {spread(static_cast<float>(I))...};
    for (int64_t i = 0; i < rounds; ++i) ((sums[I] = sums[I] * factor + addend), ...);
    Vec total{};
    ((total += sums[I]), ...);
    return total;
}

int64_t peak(int64_t rounds, float* result, int threads) {
    constexpr int kSums = 12;  // more than two units keep in flight, at a latency of four cycles
    const float by = *result, plus = 1.0f - by;  // values that no compiler knows
    float total = 0.0f;
#pragma omp parallel for schedule(static, 1) num_threads(threads) reduction(+ : total)
    for (int thread = 0; thread < threads; ++thread)
        total += sum(multiply_add(rounds, by, plus, std::make_integer_sequence<int, kSums>{}));
    *result = total;
    return rounds * threads * kSums * kLanes;
}

// ---- a matrix turned -------------------------------------------------------------------------

// y[j, i] = x[i, j], x [rows, columns]: strips of a few cache lines' rows, in squares of a vector's side.
void turn(const float* x, float* y, int64_t rows, int64_t columns, int threads) {
    constexpr int64_t kStrip = 64;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t begin = 0; begin < rows; begin += kStrip) {
        const int64_t end = std::min(rows, begin + kStrip);
        for (int64_t j = 0; j < columns; j += kLanes) {
            const int64_t wide = std::min<int64_t>(kLanes, columns - j);
            for (int64_t i = begin; i < end; i += kLanes) {
                const int64_t high = std::min<int64_t>(kLanes, end - i);
                Vec square[kLanes];
                for (int64_t k = 0; k < kLanes; ++k) {
                    const float* row = x + (i + std::min(k, high - 1)) * columns + j;
                    square[k] = wide == kLanes ? load(row) : load_some(row, wide);
                }
                transpose(square);
                for (int64_t k = 0; k < wide; ++k) {
                    float* row = y + (j + k) * rows + i;
                    if (high == kLanes) store(row, square[k]);
                    else store_some(row, square[k], high);
                }
            }
        }
    }
}

}  // namespace

extern const Products products;
const Products products = {product, outer, turn, peak};

}  // namespace WIRELOOM_BODY
}  // namespace wireloom
