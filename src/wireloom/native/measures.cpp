// Compiled once for each namespace in measures.hpp, the name in WIRELOOM_MEASURES.
#include "measures.hpp"

#include <algorithm>
#include <vector>

#ifdef __AVX512VPOPCNTDQ__
#include <immintrin.h>
#endif

namespace wireloom {
namespace WIRELOOM_MEASURES {
namespace {

// Mean of the local coefficients, summed in order of value: the order decides the cell of a graph
// that sits on a cell's edge.
double mean_of_sorted(const double* local, int nodes) {
    double sum = 0.0;
    for (int i = 0; i < nodes; ++i) sum += local[i];
    return sum / nodes;
}

double local_clustering(int64_t closed, int64_t degree) {  // closed: twice the triangles
    return closed ? static_cast<double>(closed) / static_cast<double>(degree * (degree - 1)) : 0.0;
}

// How many ordered pairs lie at each distance: at[d] for d >= 1.
void finish(Measures& found, const std::vector<int64_t>& at, int nodes) {
    const double pairs = static_cast<double>(nodes) * (nodes - 1);
    int64_t sum = 0, reached = 0;
    double inverse = 0.0;
    for (size_t d = 1; d < at.size(); ++d) {
        sum += static_cast<int64_t>(d) * at[d];
        reached += at[d];
        inverse += static_cast<double>(at[d]) / static_cast<double>(d);
    }
    found.apart = static_cast<int64_t>(nodes) * (nodes - 1) - reached;
    if (nodes < 2) return;
    found.path_length = static_cast<double>(sum) / pairs;
    found.efficiency = inverse / pairs;
}

// ---- up to 64 nodes: a row is one word ---------------------------------------------------------

constexpr int kWord = 64;

// What each node reaches in one step more: the union of what its neighbours reach. closed[u], if
// wanted, becomes the bits that u's row shares with its neighbours' rows.
#ifdef __AVX512VPOPCNTDQ__
template <bool Closed>
void widen(const uint64_t* rows, const uint64_t* columns, const uint64_t* reached, int nodes, uint64_t* wider,
           int64_t* closed) {
    for (int first = 0; first < nodes; first += 8) {
        const __m512i mine = _mm512_loadu_si512(rows + first);
        __m512i all = _mm512_loadu_si512(reached + first), shared = _mm512_setzero_si512();
        for (int v = 0; v < nodes; ++v) {
            const __mmask8 joined = static_cast<__mmask8>(columns[v] >> first);  // to v
            const __m512i theirs = _mm512_set1_epi64(static_cast<int64_t>(reached[v]));
            all = _mm512_mask_or_epi64(all, joined, all, theirs);
            if constexpr (Closed)
                shared = _mm512_mask_add_epi64(shared, joined, shared,
                                               _mm512_popcnt_epi64(_mm512_and_si512(mine, theirs)));
        }
        _mm512_storeu_si512(wider + first, all);
        if constexpr (Closed) _mm512_storeu_si512(closed + first, shared);
    }
}

// Places each value by how many are below it; equal ones share a place, and the gaps after it are
// theirs too.
void sort(double* values, int count) {
    constexpr int kVectors = kWord / 8;
    __m512d mine[kVectors];
    __m512i below[kVectors];
    for (int k = 0; k < kVectors; ++k) mine[k] = _mm512_loadu_pd(values + 8 * k), below[k] = _mm512_setzero_si512();
    const __m512i one = _mm512_set1_epi64(1);
    for (int i = 0; i < count; ++i) {
        const __m512d other = _mm512_set1_pd(values[i]);
        for (int k = 0; k < kVectors; ++k)
            below[k] = _mm512_mask_add_epi64(below[k], _mm512_cmp_pd_mask(other, mine[k], _CMP_LT_OQ), below[k], one);
    }
    alignas(64) int64_t place[kWord];
    double sorted[kWord];
    for (int k = 0; k < kVectors; ++k) _mm512_store_si512(place + 8 * k, below[k]);
    std::fill_n(sorted, count, -1.0);
    for (int i = 0; i < count; ++i) sorted[place[i]] = values[i];
    for (int i = 0; i < count; ++i) values[i] = sorted[i] < 0.0 ? values[i - 1] : sorted[i];
}
#else
template <bool Closed>
void widen(const uint64_t* rows, const uint64_t*, const uint64_t* reached, int nodes, uint64_t* wider,
           int64_t* closed) {
    for (int u = 0; u < nodes; ++u) {
        const uint64_t mine = rows[u];
        uint64_t all = reached[u];
        int64_t shared = 0;
        for (uint64_t rest = mine; rest; rest &= rest - 1) {
            const uint64_t theirs = reached[std::countr_zero(rest)];
            all |= theirs;
            if constexpr (Closed) shared += std::popcount(mine & theirs);
        }
        wider[u] = all;
        if constexpr (Closed) closed[u] = shared;
    }
}

void sort(double* values, int count) { std::sort(values, values + count); }
#endif

int64_t total(const uint64_t* sets, int nodes) {
    int64_t count = 0;
    for (int u = 0; u < nodes; ++u) count += std::popcount(sets[u]);
    return count;
}

Measures measure_one_word(const BitRows& graph, bool directed) {
    const int nodes = graph.nodes();
    alignas(64) uint64_t rows[kWord] = {}, reached[kWord] = {}, transposed[kWord] = {}, wider[kWord];
    alignas(64) int64_t closed[kWord];
    alignas(64) double local[kWord] = {};
    std::copy_n(graph.row(0), nodes, rows);
    if (directed)
        for (int u = 0; u < nodes; ++u) each_bit(&rows[u], 1, [&](int v) { transposed[v] |= uint64_t{1} << u; });
    const uint64_t* columns = directed ? transposed : rows;

    // Neighbours' rows give the triangles, and with the nodes themselves what two steps reach.
    for (int u = 0; u < nodes; ++u) reached[u] = rows[u] | uint64_t{1} << u;
    widen<true>(rows, columns, rows, nodes, wider, closed);
    for (int u = 0; u < nodes; ++u) wider[u] |= reached[u];
    for (int u = 0; u < nodes; ++u) local[u] = local_clustering(closed[u], std::popcount(rows[u]));
    sort(local, nodes);

    Measures found;
    found.clustering = mean_of_sorted(local, nodes);
    std::vector<int64_t> at{0, total(rows, nodes)};
    const int64_t all = static_cast<int64_t>(nodes) * nodes;
    for (int64_t before = nodes + at[1];;) {
        const int64_t now = total(wider, nodes);
        if (now == before) break;
        at.push_back(now - before);
        if (now == all) break;
        before = now;
        std::copy_n(wider, kWord, reached);
        widen<false>(rows, columns, reached, nodes, wider, closed);
    }
    finish(found, at, nodes);
    return found;
}

// ---- more nodes: whole rows, and searches from many sources at once ----------------------------

std::vector<double> local_coefficients(const BitRows& rows, int threads) {
    const int nodes = rows.nodes(), words = rows.words();
    std::vector<double> local(nodes);
#pragma omp parallel for schedule(dynamic, 16) num_threads(threads)
    for (int u = 0; u < nodes; ++u) {
        const uint64_t* mine = rows.row(u);
        int64_t closed = 0, degree = 0;
        for (int word = 0; word < words; ++word) degree += std::popcount(mine[word]);
        each_bit(mine, words, [&](int v) {
            const uint64_t* theirs = rows.row(v);
            int64_t shared = 0;
            for (int word = 0; word < words; ++word) shared += std::popcount(mine[word] & theirs[word]);
            closed += shared;
        });
        local[u] = local_clustering(closed, degree);
    }
    return local;
}

// Breadth-first searches from 512 sources side by side: seen[v] holds the sources that have
// reached v, fresh[v] those that did so in this round.
constexpr int kBlock = 8;
struct Sources {
    uint64_t word[kBlock];
};

class Searches {
public:
    explicit Searches(const BitRows& rows) : nodes_(rows.nodes()), start_(rows.nodes() + 1) {
        for (int u = 0; u < nodes_; ++u) {
            each_bit(rows.row(u), rows.words(), [&](int v) { ends_.push_back(v); });
            start_[u + 1] = static_cast<int64_t>(ends_.size());
        }
    }

    // Adds the pairs found at each distance to `at`.
    void from(int first, std::vector<int64_t>& at) const {
        std::vector<Sources> seen(nodes_), fresh(nodes_), next(nodes_);
        std::vector<int> active, touched;
        std::vector<char> marked(nodes_, 0);
        for (int i = 0; i < 64 * kBlock && first + i < nodes_; ++i) {
            seen[first + i].word[i >> 6] |= uint64_t{1} << (i & 63);
            fresh[first + i].word[i >> 6] |= uint64_t{1} << (i & 63);
            active.push_back(first + i);
        }
        for (size_t depth = 1; !active.empty(); ++depth) {
            touched.clear();
            for (int u : active) {
                const Sources mine = fresh[u];
                for (int64_t e = start_[u]; e < start_[u + 1]; ++e) {
                    const int v = ends_[e];
                    for (int word = 0; word < kBlock; ++word) next[v].word[word] |= mine.word[word];
                    if (!marked[v]) marked[v] = 1, touched.push_back(v);
                }
            }
            active.clear();
            int64_t found = 0;
            for (int v : touched) {
                marked[v] = 0;
                int64_t count = 0;
                for (int word = 0; word < kBlock; ++word) {
                    const uint64_t fresher = next[v].word[word] & ~seen[v].word[word];
                    fresh[v].word[word] = fresher;
                    seen[v].word[word] |= fresher;
                    next[v].word[word] = 0;
                    count += std::popcount(fresher);
                }
                if (count) active.push_back(v), found += count;
            }
            if (at.size() <= depth) at.resize(depth + 1, 0);
            at[depth] += found;
        }
    }

private:
    int nodes_;
    std::vector<int64_t> start_;
    std::vector<int> ends_;
};

Measures measure_many_words(const BitRows& rows, int threads) {
    const int nodes = rows.nodes();
    std::vector<double> local = local_coefficients(rows, threads);
    std::sort(local.begin(), local.end());
    Measures found;
    found.clustering = mean_of_sorted(local.data(), nodes);
    const Searches searches(rows);
    std::vector<int64_t> at;
#pragma omp parallel num_threads(threads)
    {
        std::vector<int64_t> mine;
#pragma omp for schedule(dynamic, 1) nowait
        for (int first = 0; first < nodes; first += 64 * kBlock) searches.from(first, mine);
#pragma omp critical
        {
            if (at.size() < mine.size()) at.resize(mine.size(), 0);
            for (size_t d = 0; d < mine.size(); ++d) at[d] += mine[d];
        }
    }
    finish(found, at, nodes);
    return found;
}

}  // namespace

Measures measure(const BitRows& rows, bool directed, int threads) {
    return rows.nodes() <= kWord ? measure_one_word(rows, directed) : measure_many_words(rows, threads);
}

}  // namespace WIRELOOM_MEASURES
}  // namespace wireloom
