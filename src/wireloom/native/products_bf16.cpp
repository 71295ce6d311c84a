// The product and its transpose on bfloat16, by the matrix unit of some processors (AMX).
//
// The unit multiplies 16 rows by 16 pairs of inputs with those pairs by 16 columns, and adds to
// float32 sums. Pairs are neighbouring inputs of one node; a node with an odd number of them has a
// zero in its last. So how an element is summed is a function of its group alone: the pairs in
// turn, sixteen at a time, zeros after the last. Denormal operands and sums count as zero.
//
// A task takes some groups and the 64 columns of a panel. It interleaves the inputs that it reads
// into a panel of its own, two rows to one, each when first read; the pairs of a group are then
// copied side by side, since the unit reads at even steps only.
#include "products_bf16.hpp"
#include "vectors.hpp"

#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

namespace wireloom {
namespace {

using bf16::transpose, bf16::Vec;

constexpr int64_t kPairs = 16, kColumns = 16, kParts = 4, kPanel = kParts * kColumns;
constexpr int64_t kHighest = 16;     // rows of a tile
constexpr int64_t kLow = 2;          // rows that are multiplied without the matrix unit
constexpr int64_t kTaskRows = 2048;  // output rows of a task, about

struct alignas(64) Line {
    uint32_t pairs[16];
};

struct alignas(64) Shapes {
    uint8_t palette = 1, start = 0, unused[14] = {};
    uint16_t bytes[16] = {};
    uint8_t rows[16] = {};
};

// Tiles 0 to 3 hold sums, 4 the weights, 5 to 7 the inputs.
Shapes shapes(int64_t height) {
    Shapes s;
    for (int i = 0; i < 8; ++i) s.bytes[i] = 64, s.rows[i] = static_cast<uint8_t>(i < 5 ? height : kPairs);
    return s;
}

// Memory of one thread, kept for the next call.
class Scratch {
public:
    Line* of(int64_t lines) {
        if (lines > size_) memory_.reset(new Line[size_ = lines + lines / 4]);
        return memory_.get();
    }

private:
    std::unique_ptr<Line[]> memory_;
    int64_t size_ = 0;
};

// Some groups that follow one another, and the nodes that they read.
struct Chunk {
    int64_t begin, end, low, high;
};

// What a call knows of its plan: where pairs, lists and packed weights begin.
struct Layout {
    std::vector<int64_t> pair_start;            // of nodes
    std::vector<int64_t> list_start, at_start;  // of groups: in `list`, in lines of weights
    std::vector<int32_t> list;                  // lines of the task's panel, of which 0 is zero
    std::vector<Chunk> chunks;
    int64_t height = 1;  // of the tallest tile
};

int64_t tiles_of(int64_t rows) { return (rows + kHighest - 1) / kHighest; }

void lay_out(const Side& side, int64_t nodes, Layout& l) {
    l.pair_start.resize(nodes + 1);
    l.pair_start[0] = 0, l.height = 1;
    l.chunks.clear();
    for (int64_t n = 0; n < nodes; ++n) l.pair_start[n + 1] = l.pair_start[n] + (side.left[n + 1] - side.left[n] + 1) / 2;
    l.list_start.resize(side.groups + 1), l.at_start.resize(side.groups + 1);
    l.list_start[0] = l.at_start[0] = 0;
    for (int64_t g = 0; g < side.groups; ++g) {
        int64_t pairs = 0;
        for (int64_t b = side.first[g]; b < side.first[g + 1]; ++b)
            pairs += l.pair_start[side.node(b) + 1] - l.pair_start[side.node(b)];
        l.list_start[g + 1] = l.list_start[g] + (pairs + kPairs - 1) / kPairs * kPairs;
    }
    l.list.resize(l.list_start[side.groups]);
    for (int64_t begin = 0; begin < side.groups;) {
        Chunk c{begin, begin, nodes, -1};
        for (int64_t rows = 0; c.end < side.groups && rows < kTaskRows; ++c.end) {
            rows += side.rows(c.end);
            if (side.first[c.end] == side.first[c.end + 1]) continue;
            c.low = std::min(c.low, side.node(side.first[c.end]));
            c.high = std::max(c.high, side.node(side.first[c.end + 1] - 1));
        }
        for (int64_t g = begin; g < c.end; ++g) {
            int32_t* list = l.list.data() + l.list_start[g];
            for (int64_t b = side.first[g]; b < side.first[g + 1]; ++b) {
                const int64_t n = side.node(b), low = l.pair_start[c.low] - 1;
                for (int64_t p = l.pair_start[n]; p < l.pair_start[n + 1]; ++p) *list++ = static_cast<int32_t>(p - low);
            }
            std::fill(list, l.list.data() + l.list_start[g + 1], 0);
            const int64_t rows = side.rows(g), tiles = tiles_of(rows);
            l.at_start[g + 1] = l.at_start[g] + (l.list_start[g + 1] - l.list_start[g]) / kPairs * rows;
            if (rows > kLow) l.height = std::max(l.height, (rows + tiles - 1) / tiles);
        }
        l.chunks.push_back(c);
        begin = c.end;
    }
}

// Up to 16 values of a row, each in the lower half of a lane.
inline __m512i half_lanes(const uint16_t* from, int64_t count) {
    if (count <= 0) return _mm512_setzero_si512();
    const __mmask16 kept = count >= 16 ? 0xffff : static_cast<__mmask16>((1u << count) - 1);
    return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(kept, from));
}

// Up to 32 values; zeros after the last.
inline void copy_line(const uint16_t* from, int64_t count, Line* to) {
    const __mmask32 kept = count >= 32 ? 0xffffffffu : (1u << count) - 1;
    _mm512_store_si512(to, _mm512_maskz_loadu_epi16(kept, from));
}

// The weights of a group: tile by tile, sixteen pairs of every row before the next sixteen.
void pack(const Bf16Args& a, const Side& side, const Layout& l, int64_t g, Line* to) {
    const int64_t rows = side.rows(g), tiles = tiles_of(rows), count = a.back ? 0 : side.count(g);
    const int64_t steps = (l.list_start[g + 1] - l.list_start[g]) / kPairs;
    bool even = true;
    for (int64_t b = side.first[g]; b < side.first[g + 1]; ++b)
        even = even && (side.left[side.node(b) + 1] - side.left[side.node(b)]) % 2 == 0;
    for (int64_t t = 0; t < tiles; ++t) {
        const int64_t top = rows * t / tiles, height = rows * (t + 1) / tiles - top;
        Line* tile = to + top * steps;
        for (int64_t r = 0; steps && r < height; ++r) tile[(steps - 1) * height + r] = Line{};
        if (even && !a.back) {  // pairs lie as they should
            const uint16_t* from = a.weights + a.plan.weight_first[g] + top * count;
            for (int64_t r = 0; r < height; ++r, from += count)
                for (int64_t s = 0; s < steps; ++s)
                    copy_line(from + s * 2 * kPairs, count - s * 2 * kPairs, tile + s * height + r);
            continue;
        }
        Vec columns[kPairs];  // of pairs; rows are what is stored
        auto turn = [&](int64_t step) {
            transpose(columns);
            for (int64_t r = 0; r < height; ++r) std::memcpy(&tile[step * height + r], &columns[r], sizeof(Line));
        };
        int64_t pair = 0, done = 0;
        for (int64_t b = side.first[g]; b < side.first[g + 1]; ++b) {
            const int64_t n = side.node(b), size = side.left[n + 1] - side.left[n];
            if (a.back) {
                const int64_t step = side.step(b);
                const uint16_t* from = a.weights + side.weight(b) + top;
                for (int64_t i = 0; i < size; i += 2, from += 2 * step) {
                    const __m512i one = half_lanes(from, height);
                    const __m512i two = i + 1 < size ? half_lanes(from + step, height) : _mm512_setzero_si512();
                    columns[pair % kPairs] = (Vec)_mm512_or_si512(one, _mm512_slli_epi32(two, 16));
                    if (++pair % kPairs == 0) turn(pair / kPairs - 1);
                }
                continue;
            }
            const uint16_t* from = a.weights + a.plan.weight_first[g] + top * count + done;
            for (int64_t i = 0; i < size; i += 2, ++pair) {
                uint32_t* at = tile[pair / kPairs * height].pairs + pair % kPairs;
                for (int64_t r = 0; r < height; ++r)
                    at[r * kPairs] = from[r * count + i] |
                                     (i + 1 < size ? static_cast<uint32_t>(from[r * count + i + 1]) << 16 : 0u);
            }
            done += size;
        }
        if (a.back && pair % kPairs) {
            for (int64_t k = pair % kPairs; k < kPairs; ++k) columns[k] = Vec{};
            turn(pair / kPairs);
        }
    }
}

// Four lines for each pair of a node's rows, each of 16 columns.
void interleave(const uint16_t* x, int64_t rows, int64_t batch, int64_t width, Line* to) {
    for (int64_t i = 0; i < rows; i += 2, x += 2 * batch, to += kParts)
        for (int64_t part = 0; part < kParts; ++part) {
            const int64_t count = width - part * kColumns;
            __m512i v = half_lanes(x + part * kColumns, count);
            if (i + 1 < rows)
                v = _mm512_or_si512(v, _mm512_slli_epi32(half_lanes(x + batch + part * kColumns, count), 16));
            _mm512_store_si512(to + part, v);
        }
}

inline void keep(__m512 sums, uint16_t* to, int64_t count) {
    if (count <= 0) return;
    const __mmask16 kept = count >= 16 ? 0xffff : static_cast<__mmask16>((1u << count) - 1);
    _mm256_mask_storeu_epi16(to, kept, (__m256i)_mm512_cvtneps_pbh(sums));
}

// Few rows, by vectors.
void low_rows(const Line* panel, const int32_t* list, int64_t steps, const Line* weights, int64_t rows,
              uint16_t* y, int64_t batch, int64_t width) {
    for (int64_t r = 0; r < rows; ++r, y += batch) {
        __m512 sums[kParts] = {};
        for (int64_t k = 0; k < steps * kPairs; ++k) {
            const __m512bh w = (__m512bh)_mm512_set1_epi32(
                static_cast<int>(weights[k / kPairs * rows + r].pairs[k % kPairs]));
            const Line* x = panel + kParts * static_cast<int64_t>(list[k]);
            for (int64_t i = 0; i < kParts; ++i)
                sums[i] = _mm512_dpbf16_ps(sums[i], (__m512bh)_mm512_load_si512(x + i), w);
        }
        for (int64_t i = 0; i < kParts; ++i) keep(sums[i], y + i * kColumns, width - i * kColumns);
    }
}

// All groups of a chunk on one panel, whose lines are `panel`. What the unit waits for is done ahead
// or put off: pairs are copied one step before they are multiplied, sums rounded one tile later.
void run_panel(const Bf16Args& a, const Side& side, const Layout& l, const Chunk& c, const Line* weights, int64_t b,
               std::vector<char>& copied, Line* panel) {
    const int64_t width = std::min(kPanel, a.batch - b);
    copied.assign(c.high < 0 ? 0 : c.high - c.low + 1, 0);
    std::fill(panel, panel + kParts, Line{});
    for (int64_t i = side.first[c.begin]; i < side.first[c.end]; ++i) {
        const int64_t n = side.node(i);
        if (copied[n - c.low]) continue;
        copied[n - c.low] = 1;
        interleave(a.x + side.left[n] * a.batch + b, side.left[n + 1] - side.left[n], a.batch, width,
                   panel + kParts * (l.pair_start[n] - l.pair_start[c.low] + 1));
    }

    alignas(64) Line near[2][kParts][kPairs];
    int64_t held[2] = {-1, -1};  // the steps, of all in the list, whose pairs are there
    const int64_t all = l.list_start[c.end] / kPairs;
    auto copy_pairs = [&](int64_t step) __attribute__((always_inline)) {
        if (step >= all || held[step % 2] == step) return;
        held[step % 2] = step;
        auto& lines = near[step % 2];
        const int32_t* list = l.list.data() + step * kPairs;
        for (int64_t k = 0; k < kPairs; ++k) {
            const Line* from = panel + kParts * static_cast<int64_t>(list[k]);
            for (int64_t i = 0; i < kParts; ++i) _mm512_store_si512(&lines[i][k], _mm512_load_si512(from + i));
        }
        asm volatile("" ::: "memory");
    };

    alignas(64) float sums[2][kParts][kHighest][kColumns];
    int64_t turn = 0, waiting = 0;  // rows of the last tile, which are still to be rounded
    uint16_t* out = nullptr;
    auto round_last = [&] {
        asm volatile("" ::: "memory");
        for (int64_t r = 0; r < waiting; ++r, out += a.batch) {
            for (int64_t i = 0; i < kParts; ++i)
                keep(_mm512_load_ps(sums[turn][i][r]), out + i * kColumns, width - i * kColumns);
        }
    };

    for (int64_t g = c.begin; g < c.end; ++g) {
        const int64_t rows = side.rows(g), tiles = tiles_of(rows);
        const int64_t first = l.list_start[g] / kPairs, steps = l.list_start[g + 1] / kPairs - first;
        uint16_t* y = a.y + side.top[g] * a.batch + b;
        const Line* at = weights + l.at_start[g];
        if (rows <= kLow) {
            low_rows(panel, l.list.data() + l.list_start[g], steps, at, rows, y, a.batch, width);
            continue;
        }
        for (int64_t t = 0; t < tiles; ++t) {
            const int64_t top = rows * t / tiles, height = rows * (t + 1) / tiles - top;
            const Line* tile = at + top * steps;
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
            _tile_zero(3);
            for (int64_t s = 0; s < steps; ++s) {
                copy_pairs(first + s);
                if (s + 1 < steps || t + 1 == tiles) copy_pairs(first + s + 1);
                const auto& lines = near[(first + s) % 2];
                _tile_loadd(4, tile + s * height, 64);  // of a low tile also what follows, for rows not kept
                _tile_loadd(5, lines[0], 64);
                _tile_dpbf16ps(0, 4, 5);
                _tile_loadd(6, lines[1], 64);
                _tile_dpbf16ps(1, 4, 6);
                if (width <= 2 * kColumns) continue;
                _tile_loadd(7, lines[2], 64);
                _tile_dpbf16ps(2, 4, 7);
                _tile_loadd(5, lines[3], 64);
                _tile_dpbf16ps(3, 4, 5);
            }
            round_last();
            turn = 1 - turn;
            _tile_stored(0, sums[turn][0], 64);
            _tile_stored(1, sums[turn][1], 64);
            _tile_stored(2, sums[turn][2], 64);
            _tile_stored(3, sums[turn][3], 64);
            waiting = height, out = y + top * a.batch;
        }
    }
    round_last();
}

}  // namespace

bool bf16_served() {
    static const bool served = [] {
        unsigned a, b, c, d;
        if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
        if (!(d >> 22 & 1) || !(d >> 24 & 1)) return false;  // bfloat16 in tiles, and tiles
        if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a >> 5 & 1)) return false;  // in vectors
        constexpr long kRequest = 0x1023, kTileData = 18;  // the kernel keeps tiles on request only
        return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
    }();
    return served;
}

void product_bf16(const Bf16Args& a, int threads) {
    const Side side(a.plan, a.back);
    static thread_local Layout layout;
    Layout& l = layout;  // the caller's, also in the other threads
    lay_out(side, a.back ? a.plan.receivers : a.plan.senders_, l);
    static thread_local Scratch weight_memory;
    Line* weights = weight_memory.of(l.at_start[side.groups] + kHighest);
    const int64_t panels = (a.batch + kPanel - 1) / kPanel, chunks = static_cast<int64_t>(l.chunks.size());
    std::memset(weights + l.at_start[side.groups], 0, kHighest * sizeof(Line));
    const Shapes mine = shapes(l.height);
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (int64_t g = 0; g < side.groups; ++g) pack(a, side, l, g, weights + l.at_start[g]);
        alignas(64) Shapes before;  // of another library, which may count on finding them again
        _tile_storeconfig(&before);
        _tile_loadconfig(&mine);
        std::vector<char> copied;
        static thread_local Scratch panel_memory;
#pragma omp for schedule(dynamic, 1)
        for (int64_t task = 0; task < chunks * panels; ++task) {
            const Chunk& c = l.chunks[task / panels];
            const int64_t need = kParts * (c.high < 0 ? 1 : l.pair_start[c.high + 1] - l.pair_start[c.low] + 1);
            run_panel(a, side, l, c, weights, task % panels * kPanel, copied, panel_memory.of(need));
        }
        _tile_loadconfig(&before);
    }
}

}  // namespace wireloom
