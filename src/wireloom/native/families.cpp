#include "families.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

namespace wireloom {

bool BitRows::connected() const {
    std::vector<uint64_t> seen(words_, 0), frontier(words_, 0), next(words_, 0);
    seen[0] = frontier[0] = 1;
    for (int count = 1, found = 1; found;) {
        std::fill(next.begin(), next.end(), 0);
        each_bit(frontier.data(), words_, [&](int node) {
            for (int word = 0; word < words_; ++word) next[word] |= row(node)[word];
        });
        found = 0;
        for (int word = 0; word < words_; ++word) {
            frontier[word] = next[word] & ~seen[word];
            seen[word] |= next[word];
            found += std::popcount(frontier[word]);
        }
        count += found;
        if (count == nodes_) return true;
    }
    return nodes_ == 1;
}

BitRows BitRows::both_ways() const {
    BitRows both = *this;
    for (int i = 0; i < nodes_; ++i) each_bit(row(i), words_, [&](int j) { both.point(j, i); });
    return both;
}

namespace {

constexpr std::array<std::pair<std::string_view, Family>, 9> kNames{{
    {"ws_flex", Family::ws_flex},
    {"ws_flex_text", Family::ws_flex_text},
    {"watts_strogatz", Family::watts_strogatz},
    {"erdos_renyi", Family::erdos_renyi},
    {"erdos_renyi_directed", Family::erdos_renyi_directed},
    {"barabasi_albert", Family::barabasi_albert},
    {"harary", Family::harary},
    {"expander", Family::expander},
    {"expander_directed", Family::expander_directed},
}};

// Moves the end v of the edge (u, v) to a node that u is not joined to. Where u is joined to all
// others it stays, after the two draws that networkx's loop takes to find that out.
void rewire_end(BitRows& rows, std::vector<int>& degree, int u, int v, PythonRandom& random) {
    const uint32_t nodes = static_cast<uint32_t>(rows.nodes());
    if (degree[u] >= rows.nodes() - 1) {
        random.below(nodes), random.below(nodes);
        return;
    }
    // One branch a draw: out of range, u itself or joined already, it is drawn again.
    const int width = std::bit_width(nodes);
    const uint64_t* row = rows.row(u);
    uint32_t w;
    bool taken;
    do {
        w = random.bits(width);
        const uint64_t word = row[w < nodes ? w >> 6 : 0];
        taken = (w >= nodes) | (w == static_cast<uint32_t>(u)) | (word >> (w & 63) & 1);
    } while (taken);
    rows.part(u, v), rows.join(u, static_cast<int>(w));
    --degree[v], ++degree[w];
}

// Each node's edges to its next `reach` ones, and one more where `longer` says so; then rewired
// node by node.
void flex(BitRows& rows, int64_t reach, const std::vector<char>& longer, double rewire, PythonRandom& random) {
    const int nodes = rows.nodes();
    std::vector<int> degree(nodes, 0);
    const auto each_edge = [&](auto visit) {
        for (int u = 0; u < nodes; ++u)
            for (int64_t step = 1; step <= reach + longer[u]; ++step) visit(u, static_cast<int>((u + step) % nodes));
    };
    each_edge([&](int u, int v) { rows.join(u, v), ++degree[u], ++degree[v]; });
    each_edge([&](int u, int v) {
        if (random.uniform() < rewire) rewire_end(rows, degree, u, v, random);
    });
}

void ws_flex(BitRows& rows, int64_t edges, double rewire, PythonRandom& random, bool anywhere) {
    const int nodes = rows.nodes();
    const int64_t extra = edges % nodes;
    std::vector<char> longer(nodes, 0);
    if (anywhere) {  // a random set of nodes: the first `extra` of a shuffle
        std::vector<int> order(nodes);
        std::iota(order.begin(), order.end(), 0);
        const int64_t step = edges / nodes + 1;
        for (int64_t i = 0, chosen = 0; chosen < extra; ++i) {
            std::swap(order[i], order[i + random.below(static_cast<uint32_t>(nodes - i))]);
            const int64_t across = (order[i] + step) % nodes;
            if (2 * step == nodes && longer[across]) continue;  // its edge is there already
            longer[order[i]] = 1, ++chosen;
        }
    } else {
        std::fill_n(longer.begin(), extra, 1);
    }
    flex(rows, edges / nodes, longer, rewire, random);
}

// As networkx has it: all edges of distance 1 are rewired first, then those of distance 2, ...
void watts_strogatz(BitRows& rows, int64_t degree, double rewire, PythonRandom& random) {
    const int nodes = rows.nodes();
    std::vector<int> degrees(nodes, static_cast<int>(degree / 2 * 2));
    for (int64_t step = 1; step <= degree / 2; ++step)
        for (int u = 0; u < nodes; ++u) rows.join(u, static_cast<int>((u + step) % nodes));
    for (int64_t step = 1; step <= degree / 2; ++step)
        for (int u = 0; u < nodes; ++u)
            if (random.uniform() < rewire)
                rewire_end(rows, degrees, u, static_cast<int>((u + step) % nodes), random);
}

void erdos_renyi(BitRows& rows, int64_t edges, PythonRandom& random, bool directed) {
    const int nodes = rows.nodes();
    const int64_t all = static_cast<int64_t>(nodes) * (nodes - 1) / (directed ? 1 : 2);
    if (edges >= all) {
        for (int u = 0; u < nodes; ++u)
            for (int v = 0; v < u; ++v) rows.join(u, v);
        return;
    }
    for (int64_t made = 0; made < edges;) {
        const int u = static_cast<int>(random.below(nodes)), v = static_cast<int>(random.below(nodes));
        if (u == v || rows.has(u, v)) continue;
        rows.point(u, v);
        if (!directed) rows.point(v, u);
        ++made;
    }
}

// A star of attach + 1 nodes; each further node joins `attach` different ones, each drawn in
// proportion to its degree.
void barabasi_albert(BitRows& rows, int64_t attach, PythonRandom& random) {
    const int nodes = rows.nodes();
    std::vector<int> ends;  // every node as often as its degree
    for (int v = 1; v <= attach; ++v) rows.join(0, v);
    ends.assign(attach, 0);
    for (int v = 1; v <= attach; ++v) ends.push_back(v);
    for (int u = static_cast<int>(attach) + 1; u < nodes; ++u) {
        for (int64_t made = 0; made < attach;) {
            const int v = ends[random.below(static_cast<uint32_t>(ends.size()))];
            if (rows.has(u, v)) continue;
            rows.join(u, v), ++made;
        }
        each_bit(rows.row(u), rows.words(), [&](int v) { ends.push_back(v); });
        ends.insert(ends.end(), attach, u);
    }
}

// The graph of fewest edges at its connectivity (Harary 1962), spread as evenly as `edges` lets.
void harary(BitRows& rows, int64_t edges) {
    const int nodes = rows.nodes();
    const int64_t degree = 2 * edges / nodes;
    const int reach = static_cast<int>(degree / 2), half = nodes / 2;
    for (int u = 0; u < nodes; ++u)
        for (int step = 1; step <= reach; ++step) rows.join(u, (u + step) % nodes);
    if (degree % 2 && nodes % 2) {  // the edges left over go across, one node after another
        for (int64_t u = 0; u < edges - static_cast<int64_t>(nodes) * reach; ++u)
            rows.join(static_cast<int>(u), static_cast<int>((u + half) % nodes));
        return;
    }
    if (degree % 2)
        for (int u = 0; u < half; ++u) rows.join(u, u + half);
    for (int u = 0; u < (2 * edges % nodes) / 2; ++u) rows.join(u, u + reach + 1);
}

// A random regular graph: a lattice whose edges swap their ends until it is forgotten. Swaps keep
// every degree and lead to all regular graphs alike. A dense one is the complement of a sparse.
void expander(BitRows& rows, int64_t degree, PythonRandom& random, bool directed) {
    constexpr int kSwapsPerEdge = 20;
    const int nodes = rows.nodes();
    const bool complement = 2 * degree > nodes - 1;
    const int few = static_cast<int>(complement ? nodes - 1 - degree : degree);
    if (directed) {
        for (int u = 0; u < nodes; ++u)
            for (int step = 1; step <= few; ++step) rows.point(u, (u + step) % nodes);
    } else if (few) {
        harary(rows, static_cast<int64_t>(nodes) * few / 2);
    }
    std::vector<std::pair<int, int>> edges;
    for (int u = 0; u < nodes; ++u)
        each_bit(rows.row(u), rows.words(), [&](int v) {
            if (directed || u < v) edges.emplace_back(u, v);
        });
    const uint32_t count = static_cast<uint32_t>(edges.size());
    for (int64_t i = 0; i < static_cast<int64_t>(count) * kSwapsPerEdge; ++i) {
        auto& [a, b] = edges[random.below(count)];
        auto& [c, d] = edges[random.below(count)];
        if (!directed && random.below(2)) std::swap(c, d);
        // a - b and c - d become a - d and c - b
        if (a == c || b == d || a == d || b == c || rows.has(a, d) || rows.has(c, b)) continue;
        if (directed) {
            rows.unpoint(a, b), rows.unpoint(c, d), rows.point(a, d), rows.point(c, b);
        } else {
            rows.part(a, b), rows.part(c, d), rows.join(a, d), rows.join(c, b);
        }
        std::swap(b, d);
    }
    if (!complement) return;
    for (int u = 0; u < nodes; ++u)
        for (int v = 0; v < nodes; ++v)
            if (u != v) rows.has(u, v) ? rows.unpoint(u, v) : rows.point(u, v);
}

void attempt(Family family, int64_t amount, double rewire, PythonRandom& random, BitRows& rows) {
    switch (family) {
        case Family::ws_flex: return ws_flex(rows, amount, rewire, random, false);
        case Family::ws_flex_text: return ws_flex(rows, amount, rewire, random, true);
        case Family::watts_strogatz: return watts_strogatz(rows, amount, rewire, random);
        case Family::erdos_renyi: return erdos_renyi(rows, amount, random, false);
        case Family::erdos_renyi_directed: return erdos_renyi(rows, amount, random, true);
        case Family::barabasi_albert: return barabasi_albert(rows, amount, random);
        case Family::harary: return harary(rows, amount);
        case Family::expander: return expander(rows, amount, random, false);
        case Family::expander_directed: return expander(rows, amount, random, true);
    }
}

}  // namespace

std::optional<Family> family_named(std::string_view name) {
    for (const auto& [known, family] : kNames)
        if (known == name) return family;
    return std::nullopt;
}

bool is_directed(Family family) {
    return family == Family::erdos_renyi_directed || family == Family::expander_directed;
}

bool possible(Family family, int nodes, int64_t amount) {
    if (nodes < 2 || amount < 1) return false;
    const int64_t pairs = static_cast<int64_t>(nodes) * (nodes - 1);
    switch (family) {
        case Family::erdos_renyi_directed: return amount <= pairs;
        case Family::watts_strogatz:
        case Family::expander_directed:
        case Family::barabasi_albert: return amount <= nodes - 1;
        case Family::expander: return amount <= nodes - 1 && nodes * amount % 2 == 0;
        default: return amount <= pairs / 2;
    }
}

bool draw(Family family, int64_t amount, double rewire, PythonRandom& random, int tries, BitRows& rows) {
    for (int i = 0; i < tries; ++i) {
        rows.clear();
        attempt(family, amount, rewire, random, rows);
        if (is_directed(family) ? rows.both_ways().connected() : rows.connected()) return true;
    }
    return false;
}

}  // namespace wireloom
