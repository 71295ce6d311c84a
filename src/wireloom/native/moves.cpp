#include "moves.hpp"

#include <cmath>
#include <utility>
#include <vector>

namespace wireloom {

double spectral_gap(const BitRows& rows, double* vector) {
    constexpr int kMost = 2000;
    constexpr double kSettled = 1e-7;
    const int nodes = rows.nodes();
    std::vector<std::vector<int>> near(nodes);
    std::vector<double> root(nodes), next(nodes);
    double twice_edges = 0.0;
    for (int u = 0; u < nodes; ++u) {
        each_bit(rows.row(u), rows.words(), [&](int v) { near[u].push_back(v); });
        root[u] = std::sqrt(static_cast<double>(near[u].size()));
        twice_edges += static_cast<double>(near[u].size());
    }
    // The greatest eigenvalue of D^-1/2 A D^-1/2 belongs to the square roots of the degrees; the
    // next one is what is left when they are taken out. Shifted by one, all are positive.
    double value = 0.0;
    for (int round = 0; round < kMost; ++round) {
        double along = 0.0, norm = 0.0;
        for (int u = 0; u < nodes; ++u) along += vector[u] * root[u];
        for (int u = 0; u < nodes; ++u) vector[u] -= along / twice_edges * root[u], norm += vector[u] * vector[u];
        norm = std::sqrt(norm);
        for (int u = 0; u < nodes; ++u) vector[u] /= norm;
        double rayleigh = 0.0, off = 0.0;
        for (int u = 0; u < nodes; ++u) {
            double sum = 0.0;
            for (int v : near[u]) sum += vector[v] / root[v];
            next[u] = sum / root[u] + vector[u];
            rayleigh += next[u] * vector[u];
        }
        for (int u = 0; u < nodes; ++u) {
            const double residual = next[u] - rayleigh * vector[u];
            off += residual * residual;
            vector[u] = next[u];
        }
        value = rayleigh - 1.0;
        if (off < kSettled) break;
    }
    return 1.0 - value;
}

Steered steer(BitRows& rows, const Target& target, int64_t swaps, PythonRandom& random, MeasureBody measure) {
    const int nodes = rows.nodes();
    std::vector<std::pair<int, int>> edges;
    for (int u = 0; u < nodes; ++u)
        each_bit(rows.row(u), rows.words(), [&](int v) {
            if (u < v) edges.emplace_back(u, v);
        });
    std::vector<double> vector(nodes), trial(nodes);
    for (double& x : vector) x = random.uniform() - 0.5;

    const bool by_paths = !std::isnan(target.clustering) || !std::isnan(target.path_length);
    const auto distance = [&](const BitRows& graph) {
        double sum = 0.0;
        const auto add = [&](double got, double want, double weight) {
            if (!std::isnan(want)) sum += weight * weight * (got - want) * (got - want);
        };
        if (by_paths) {
            const Measures found = measure(graph, false, 1);
            if (found.apart) return INFINITY;
            add(found.clustering, target.clustering, target.clustering_weight);
            add(found.path_length, target.path_length, target.path_length_weight);
        } else if (!graph.connected()) {
            return INFINITY;
        }
        if (!std::isnan(target.spectral_gap)) {
            trial = vector;
            add(spectral_gap(graph, trial.data()), target.spectral_gap, target.spectral_gap_weight);
        }
        return static_cast<float>(std::sqrt(sum));
    };

    float now = distance(rows);
    vector = trial;
    BitRows best = rows;
    Steered result{now, 0, 0};
    const uint32_t count = static_cast<uint32_t>(edges.size());
    // The temperature falls to a thousandth of the first distance; each quarter starts over from
    // the best graph, cooler.
    const double start = 0.05 * now;
    for (; result.tried < swaps && result.distance > target.close_enough; ++result.tried) {
        const double temperature = start * std::pow(1e-3, static_cast<double>(result.tried) / swaps);
        auto& [a, b] = edges[random.below(count)];
        auto& [c, d] = edges[random.below(count)];
        if (random.below(2)) std::swap(c, d);
        if (a == c || b == d || a == d || b == c || rows.has(a, d) || rows.has(c, b)) continue;
        rows.part(a, b), rows.part(c, d), rows.join(a, d), rows.join(c, b);
        const float then = distance(rows);
        if (then <= now || (std::isfinite(then) && random.uniform() < std::exp((now - then) / temperature))) {
            now = then;
            vector = trial;
            std::swap(b, d);
            ++result.swaps;
            if (now < result.distance) result.distance = now, best = rows;
        } else {
            rows.part(a, d), rows.part(c, b), rows.join(a, b), rows.join(c, d);
        }
    }
    rows = std::move(best);
    return result;
}

}  // namespace wireloom
