#include "centrality.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "random.hpp"

namespace wireloom {

std::vector<double> betweenness(const BitRows& rows) {
    const int nodes = rows.nodes();
    std::vector<std::vector<int>> near(nodes);
    for (int u = 0; u < nodes; ++u) each_bit(rows.row(u), rows.words(), [&](int v) { near[u].push_back(v); });
    std::vector<double> through(nodes, 0.0), paths(nodes), share(nodes);
    std::vector<int> distance(nodes), order;
    for (int source = 0; source < nodes; ++source) {
        std::fill(paths.begin(), paths.end(), 0.0);
        std::fill(share.begin(), share.end(), 0.0);
        std::fill(distance.begin(), distance.end(), -1);
        order.assign(1, source);
        paths[source] = 1.0, distance[source] = 0;
        for (size_t i = 0; i < order.size(); ++i) {
            const int u = order[i];
            for (int v : near[u]) {
                if (distance[v] < 0) distance[v] = distance[u] + 1, order.push_back(v);
                if (distance[v] == distance[u] + 1) paths[v] += paths[u];
            }
        }
        for (size_t i = order.size() - 1; i > 0; --i) {
            const int v = order[i];
            for (int u : near[v])
                if (distance[u] == distance[v] - 1) share[u] += paths[u] / paths[v] * (1.0 + share[v]);
            through[v] += share[v];
        }
    }
    const double pairs = static_cast<double>(nodes - 1) * (nodes - 2);
    for (double& value : through) value = pairs > 0 ? value / pairs : 0.0;
    return through;
}

namespace {

// A graph with weights, whose nodes stand for sets of nodes of the first one.
struct Weighted {
    std::vector<std::vector<std::pair<int, int64_t>>> near;  // without loops
    std::vector<int64_t> strength;                           // sum of the weights at a node, loops twice
};

Weighted weighted(const BitRows& rows) {
    const int nodes = rows.nodes();
    Weighted graph{std::vector<std::vector<std::pair<int, int64_t>>>(nodes), std::vector<int64_t>(nodes)};
    for (int u = 0; u < nodes; ++u) {
        each_bit(rows.row(u), rows.words(), [&](int v) { graph.near[u].emplace_back(v, 1); });
        graph.strength[u] = static_cast<int64_t>(graph.near[u].size());
    }
    return graph;
}

// Moves single nodes until no move gains; true if any did. All sums are of whole numbers.
bool settle(const Weighted& graph, int64_t twice_edges, const std::vector<int>& order, std::vector<int>& label) {
    const size_t nodes = graph.near.size();
    std::vector<int64_t> weight(graph.strength), links(nodes, 0);
    std::vector<int> seen;
    bool moved = false;
    for (bool again = true; again;) {
        again = false;
        for (int u : order) {
            const int home = label[u];
            seen.assign(1, home);
            for (const auto& [v, w] : graph.near[u]) {
                const int there = label[v];
                if (there != home && links[there] == 0) seen.push_back(there);
                links[there] += w;
            }
            weight[home] -= graph.strength[u];
            // gain of joining c: links to c / m - strength * weight of c / (2 m^2), times 2 m^2
            const auto gain = [&](int c) { return links[c] * twice_edges - graph.strength[u] * weight[c]; };
            int best = home;
            for (int c : seen)
                if (gain(c) > gain(best) || (gain(c) == gain(best) && best != home && c < best)) best = c;
            weight[best] += graph.strength[u];
            label[u] = best;
            if (best != home) again = moved = true;
            for (int c : seen) links[c] = 0;
        }
    }
    return moved;
}

int renumber(std::vector<int>& label) {
    std::vector<int> number(label.size(), -1);
    int count = 0;
    for (int& l : label) {
        if (number[l] < 0) number[l] = count++;
        l = number[l];
    }
    return count;
}

Weighted merged(const Weighted& graph, const std::vector<int>& label, int count) {
    Weighted next{std::vector<std::vector<std::pair<int, int64_t>>>(count), std::vector<int64_t>(count, 0)};
    std::vector<std::vector<int>> members(count);
    for (size_t u = 0; u < label.size(); ++u) {
        members[label[u]].push_back(static_cast<int>(u));
        next.strength[label[u]] += graph.strength[u];
    }
    std::vector<int64_t> links(count, 0);
    for (int c = 0; c < count; ++c) {
        for (int u : members[c])
            for (const auto& [v, w] : graph.near[u])
                if (label[v] != c) links[label[v]] += w;
        for (int d = 0; d < count; ++d)
            if (links[d]) next.near[c].emplace_back(d, links[d]), links[d] = 0;
    }
    return next;
}

double modularity(const BitRows& rows, const std::vector<int32_t>& label, int count, int64_t twice_edges) {
    std::vector<int64_t> weight(count, 0);
    int64_t inside = 0;
    for (int u = 0; u < rows.nodes(); ++u)
        each_bit(rows.row(u), rows.words(), [&](int v) {
            ++weight[label[u]];
            inside += label[u] == label[v];
        });
    const double all = static_cast<double>(twice_edges);
    double expected = 0.0;
    for (int64_t w : weight) expected += (w / all) * (w / all);
    return inside / all - expected;
}

}  // namespace

Communities communities(const BitRows& rows, int orders) {
    const int nodes = rows.nodes();
    const Weighted first = weighted(rows);
    const int64_t twice_edges = std::accumulate(first.strength.begin(), first.strength.end(), int64_t{0});
    Communities best;
    best.label.resize(nodes);
    std::iota(best.label.begin(), best.label.end(), 0);
    if (!twice_edges) return best;
    PythonRandom random(0);
    for (int attempt = 0; attempt < orders; ++attempt) {
        std::vector<int32_t> label(nodes);
        std::iota(label.begin(), label.end(), 0);
        Weighted graph = first;
        int count = nodes;
        for (bool moved = true; moved;) {
            std::vector<int> order(count), joined(count);
            std::iota(order.begin(), order.end(), 0);
            std::iota(joined.begin(), joined.end(), 0);
            if (attempt)
                for (int i = count - 1; i > 0; --i) std::swap(order[i], order[random.below(static_cast<uint32_t>(i + 1))]);
            moved = settle(graph, twice_edges, order, joined);
            const int fewer = renumber(joined);
            for (int32_t& l : label) l = joined[l];
            graph = merged(graph, joined, fewer);
            count = fewer;
        }
        renumber(label);
        const double value = modularity(rows, label, count, twice_edges);
        if (attempt == 0 || value > best.modularity) best = {label, value};
    }
    return best;
}

}  // namespace wireloom
