#include "graphs.hpp"

#include <algorithm>
#include <bit>

namespace wireloom {

namespace {

// Row i holds the neighbours of node i, 64 to a word.
class BitRows {
public:
    explicit BitRows(int nodes)
        : words_((nodes + 63) / 64), bits_(static_cast<size_t>(nodes) * words_) {}
    int words() const { return words_; }
    uint64_t* row(int i) { return bits_.data() + static_cast<size_t>(i) * words_; }
    const uint64_t* row(int i) const { return bits_.data() + static_cast<size_t>(i) * words_; }
    bool has(int i, int j) const { return row(i)[j >> 6] >> (j & 63) & 1; }
    void add(int i, int j) {
        row(i)[j >> 6] |= uint64_t{1} << (j & 63);
        row(j)[i >> 6] |= uint64_t{1} << (i & 63);
    }
    void remove(int i, int j) {
        row(i)[j >> 6] &= ~(uint64_t{1} << (j & 63));
        row(j)[i >> 6] &= ~(uint64_t{1} << (i & 63));
    }

private:
    int words_;
    std::vector<uint64_t> bits_;
};

template <class Visit>
void each_bit(const uint64_t* row, int words, Visit visit) {
    for (int word = 0; word < words; ++word)
        for (uint64_t rest = row[word]; rest; rest &= rest - 1)
            visit(word * 64 + std::countr_zero(rest));
}

struct Reach {
    int64_t distance;  // sum of the distances to every node reached
    int64_t count;     // nodes reached, the source included
};

// Breadth-first search on whole rows: each round's frontier is the union of its members' rows.
class Search {
public:
    Search(const BitRows& rows, int nodes)
        : rows_(rows), nodes_(nodes), seen_(rows.words()), frontier_(rows.words()), next_(rows.words()) {}

    Reach from(int source) {
        const int words = rows_.words();
        std::fill(seen_.begin(), seen_.end(), 0);
        std::fill(frontier_.begin(), frontier_.end(), 0);
        seen_[source >> 6] = frontier_[source >> 6] = uint64_t{1} << (source & 63);
        Reach reach{0, 1};
        for (int64_t depth = 1;; ++depth) {
            std::fill(next_.begin(), next_.end(), 0);
            each_bit(frontier_.data(), words, [&](int node) {
                const uint64_t* row = rows_.row(node);
                for (int word = 0; word < words; ++word) next_[word] |= row[word];
            });
            int64_t found = 0;
            for (int word = 0; word < words; ++word) {
                frontier_[word] = next_[word] & ~seen_[word];
                seen_[word] |= next_[word];
                found += std::popcount(frontier_[word]);
            }
            reach.distance += depth * found;
            reach.count += found;
            if (!found || reach.count == nodes_) return reach;
        }
    }

private:
    const BitRows& rows_;
    int nodes_;
    std::vector<uint64_t> seen_, frontier_, next_;
};

}  // namespace

PythonRandom::PythonRandom(uint64_t seed) {
    std::vector<uint32_t> key{static_cast<uint32_t>(seed)};
    if (seed >> 32) key.push_back(static_cast<uint32_t>(seed >> 32));

    state_[0] = 19650218u;
    for (uint32_t i = 1; i < 624; ++i)
        state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
    uint32_t i = 1, j = 0;
    for (int round = 0; round < 624; ++round) {
        state_[i] = (state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * 1664525u)) + key[j] + j;
        if (++i == 624) state_[0] = state_[623], i = 1;
        if (++j == key.size()) j = 0;
    }
    for (int round = 0; round < 623; ++round) {
        state_[i] = (state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * 1566083941u)) - i;
        if (++i == 624) state_[0] = state_[623], i = 1;
    }
    state_[0] = 0x80000000u;
}

uint32_t PythonRandom::next() {
    if (position_ == 624) {
        for (int i = 0; i < 624; ++i) {
            const uint32_t y = (state_[i] & 0x80000000u) | (state_[(i + 1) % 624] & 0x7fffffffu);
            state_[i] = state_[(i + 397) % 624] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0u);
        }
        position_ = 0;
    }
    uint32_t y = state_[position_++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

double PythonRandom::uniform() {
    const uint32_t high = next() >> 5, low = next() >> 6;
    return (high * 67108864.0 + low) / 9007199254740992.0;
}

uint32_t PythonRandom::below(uint32_t limit) {
    const int bits = std::bit_width(limit);
    uint32_t value;
    do value = next() >> (32 - bits);
    while (value >= limit);
    return value;
}

EdgeList ws_flex(int nodes, int64_t edges, double rewire, uint64_t seed, int tries) {
    PythonRandom random(seed);
    const int64_t reach = edges / nodes, extra = edges % nodes;
    EdgeList result;
    for (int attempt = 0; attempt < tries && !result.connected; ++attempt) {
        BitRows rows(nodes);
        std::vector<int> degree(nodes, 0);
        for (int u = 0; u < nodes; ++u)
            for (int64_t step = 1; step <= reach + (u < extra); ++step) {
                const int v = static_cast<int>((u + step) % nodes);
                rows.add(u, v);
                ++degree[u], ++degree[v];
            }
        for (int u = 0; u < nodes; ++u)
            for (int64_t step = 1; step <= reach + (u < extra); ++step) {
                if (!(random.uniform() < rewire)) continue;
                const int v = static_cast<int>((u + step) % nodes);
                int w = static_cast<int>(random.below(nodes));
                bool left_alone = false;
                while (w == u || rows.has(u, w)) {
                    w = static_cast<int>(random.below(nodes));
                    if (degree[u] >= nodes - 1) {
                        left_alone = true;
                        break;
                    }
                }
                if (left_alone) continue;
                rows.remove(u, v);
                rows.add(u, w);
                --degree[v], ++degree[w];
            }
        result.connected = Search(rows, nodes).from(0).count == nodes;
        if (!result.connected) continue;
        for (int u = 0; u < nodes; ++u)
            each_bit(rows.row(u), rows.words(), [&](int v) {
                if (v > u) result.ends.push_back(u), result.ends.push_back(v);
            });
    }
    return result;
}

namespace {

// Mean of the local coefficients, summed in order of value: the order decides the cell of a graph
// that sits on a cell's edge.
double mean_clustering(std::vector<double>& local) {
    std::sort(local.begin(), local.end());
    double sum = 0.0;
    for (double value : local) sum += value;
    return sum / static_cast<double>(local.size());
}

double local_clustering(int64_t closed, int64_t degree) {  // closed: twice the triangles
    return closed ? static_cast<double>(closed) / static_cast<double>(degree * (degree - 1)) : 0.0;
}

double mean_distance(int64_t sum, int nodes) {
    return nodes > 1 ? static_cast<double>(sum) / (static_cast<double>(nodes) * (nodes - 1)) : 0.0;
}

// Up to 64 nodes a row is one word. What a node reaches in d + 1 steps is the union of what its
// neighbours reach in d, so every source advances at once.
Measures measure_one_word(int nodes, const int32_t* ends, int64_t edges) {
    uint64_t rows[64] = {}, reached[64], next[64];
    int current = 0;
    uint64_t row = 0;  // of `current`, in a register: edges come sorted
    for (int64_t e = 0; e < 2 * edges; e += 2) {
        const int u = ends[e], v = ends[e + 1];
        if (u != current) rows[current] |= row, row = 0, current = u;
        row |= uint64_t{1} << v;
        rows[v] |= uint64_t{1} << u;
    }
    rows[current] |= row;

    // One walk over the edges gives the triangles and what two steps reach.
    const uint64_t all = nodes == 64 ? ~uint64_t{0} : (uint64_t{1} << nodes) - 1;
    std::vector<double> local(nodes);
    // A pair at distance d is missing from the sets of fewer steps: each missing pair adds one.
    int64_t distance = static_cast<int64_t>(nodes) * (nodes - 1), missing = 0;
    for (int u = 0; u < nodes; ++u) {
        const uint64_t mine = rows[u];
        uint64_t two = mine | uint64_t{1} << u;
        int64_t closed = 0;
        distance += nodes - std::popcount(two);
        for (uint64_t rest = mine; rest; rest &= rest - 1) {
            const uint64_t theirs = rows[std::countr_zero(rest)];
            closed += std::popcount(mine & theirs);
            two |= theirs;
        }
        local[u] = local_clustering(closed, std::popcount(mine));
        reached[u] = two;
        missing += nodes - std::popcount(two);
    }
    while (missing) {
        distance += missing;
        int64_t still = 0;
        for (int u = 0; u < nodes; ++u) {
            uint64_t wider = reached[u];
            if (wider != all)
                for (uint64_t rest = rows[u]; rest; rest &= rest - 1) wider |= reached[std::countr_zero(rest)];
            next[u] = wider;
            still += nodes - std::popcount(wider);
        }
        if (still == missing) return {mean_clustering(local), -1.0};
        missing = still;
        std::copy(next, next + nodes, reached);
    }
    return {mean_clustering(local), mean_distance(distance, nodes)};
}

}  // namespace

Measures measure(int nodes, const int32_t* ends, int64_t edges) {
    if (nodes <= 64) return measure_one_word(nodes, ends, edges);
    BitRows rows(nodes);
    std::vector<int64_t> degree(nodes, 0);
    for (int64_t e = 0; e < edges; ++e) {
        rows.add(ends[2 * e], ends[2 * e + 1]);
        ++degree[ends[2 * e]], ++degree[ends[2 * e + 1]];
    }
    const int words = rows.words();
    std::vector<double> local(nodes, 0.0);
    for (int u = 0; u < nodes; ++u) {
        int64_t closed = 0;
        const uint64_t* mine = rows.row(u);
        each_bit(mine, words, [&](int v) {
            const uint64_t* theirs = rows.row(v);
            for (int word = 0; word < words; ++word) closed += std::popcount(mine[word] & theirs[word]);
        });
        local[u] = local_clustering(closed, degree[u]);
    }
    Search search(rows, nodes);
    int64_t distance = 0;
    for (int u = 0; u < nodes; ++u) {
        const Reach reach = search.from(u);
        if (reach.count < nodes) return {mean_clustering(local), -1.0};
        distance += reach.distance;
    }
    return {mean_clustering(local), mean_distance(distance, nodes)};
}

}  // namespace wireloom
