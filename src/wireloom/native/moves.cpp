#include "moves.hpp"

#include <algorithm>
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

namespace {

// The mean local clustering coefficient, kept up while edges come and go.
class Clustering {
public:
    explicit Clustering(BitRows& rows) : rows_(rows), share_(rows.nodes(), 0.0) {
        const int nodes = rows.nodes();
        for (int u = 0; u < nodes; ++u) {
            int64_t degree = 0, closed = 0;
            each_bit(rows.row(u), rows.words(), [&](int v) {
                ++degree;
                for (int word = 0; word < rows.words(); ++word)
                    closed += std::popcount(rows.row(u)[word] & rows.row(v)[word]);
            });
            if (degree > 1) share_[u] = 1.0 / (static_cast<double>(degree) * (degree - 1) * nodes);
            value_ += static_cast<double>(closed) * share_[u];
        }
    }
    double value() const { return value_; }
    void join(int u, int v) { change(u, v, 2.0), rows_.join(u, v); }
    void part(int u, int v) { change(u, v, -2.0), rows_.part(u, v); }

private:
    // Each common neighbour makes a triangle with the edge, which all three nodes count twice.
    // Degrees are those of the whole graph: every swap gives back what it takes.
    void change(int u, int v, double by) {
        for (int word = 0; word < rows_.words(); ++word)
            for (uint64_t rest = rows_.row(u)[word] & rows_.row(v)[word]; rest; rest &= rest - 1)
                value_ += by * (share_[u] + share_[v] + share_[word * 64 + std::countr_zero(rest)]);
    }

    BitRows& rows_;
    std::vector<double> share_;
    double value_ = 0.0;
};

// Every node's neighbours in slots of its own, whose number never changes.
class Slots {
public:
    explicit Slots(const BitRows& rows) : start_(rows.nodes() + 1, 0) {
        for (int u = 0; u < rows.nodes(); ++u) {
            each_bit(rows.row(u), rows.words(), [&](int v) { owner_.push_back(u), end_.push_back(v); });
            start_[u + 1] = static_cast<uint32_t>(end_.size());
        }
    }
    struct Swap {  // of a - b and c - d to a - d and c - b
        int a, b, c, d;
    };
    // Two edges at random, or two that make a triangle if their ends are swapped: without these a
    // large graph would hardly ever find one.
    Swap propose(PythonRandom& random) const {
        const auto any = [&] { return random.below(static_cast<uint32_t>(end_.size())); };
        const auto neighbour = [&](int u) { return end_[start_[u] + random.below(start_[u + 1] - start_[u])]; };
        const uint32_t first = any();
        const int a = owner_[first], b = end_[first];
        if (random.bits(1)) {
            const uint32_t second = any();
            return {a, b, owner_[second], end_[second]};
        }
        const int d = neighbour(neighbour(a));
        return {a, b, neighbour(d), d};
    }
    void apply(const Swap& s) {
        at(s.a, s.b) = s.d, at(s.c, s.d) = s.b;
        at(s.b, s.a) = s.c, at(s.d, s.c) = s.a;
    }

private:
    int& at(int u, int v) { return *std::find(end_.begin() + start_[u], end_.begin() + start_[u + 1], v); }

    std::vector<uint32_t> start_;
    std::vector<int> owner_, end_;
};

}  // namespace

Steered steer(BitRows& rows, const int32_t* kinds, const Target& target, int64_t swaps, PythonRandom& random, MeasureBody measure) {
    const int nodes = rows.nodes();
    Slots slots(rows);
    std::vector<double> vector(nodes), trial(nodes);
    for (double& x : vector) x = random.uniform() - 0.5;

    Clustering clustering(rows);
    const auto distance = [&] {
        double sum = 0.0;
        const auto add = [&](double got, double want, double weight) {
            if (!std::isnan(want)) sum += weight * weight * (got - want) * (got - want);
        };
        add(clustering.value(), target.clustering, target.clustering_weight);
        if (!std::isnan(target.path_length)) {
            const Measures found = measure(rows, false, 1);
            if (found.apart) return HUGE_VAL;
            add(found.path_length, target.path_length, target.path_length_weight);
        } else if (!rows.connected()) {
            return HUGE_VAL;
        }
        if (!std::isnan(target.spectral_gap)) {
            trial = vector;
            add(spectral_gap(rows, trial.data()), target.spectral_gap, target.spectral_gap_weight);
        }
        return std::sqrt(sum);
    };

    double now = distance();
    vector = trial;
    BitRows best = rows;
    Steered result{now, 0, 0};
    // The temperature falls from a third of what a swap typically changes to a hundredth of that;
    // what it changes depends on the size of the graph.
    double typical = 0.0;
    int64_t closer = 0;  // swaps tried when the best graph was found
    const int64_t patience = std::max<int64_t>(swaps / 4, 1);
    for (; result.tried < swaps && result.distance > target.close_enough && result.tried - closer <= patience;
         ++result.tried) {
        const Slots::Swap swap = slots.propose(random);
        const auto [a, b, c, d] = swap;
        if (kinds[a] != kinds[c] && kinds[b] != kinds[d]) continue;
        if (a == c || b == d || a == d || b == c || rows.has(a, d) || rows.has(c, b)) continue;
        clustering.part(a, b), clustering.part(c, d), clustering.join(a, d), clustering.join(c, b);
        const double then = distance();
        if (std::isfinite(then) && then != now)
            typical = typical > 0.0 ? 0.99 * typical + 0.01 * std::abs(then - now) : std::abs(then - now);
        const double temperature = 0.3 * typical * std::pow(1e-2, static_cast<double>(result.tried) / swaps);
        if (then <= now || (std::isfinite(then) && random.uniform() < std::exp((now - then) / temperature))) {
            now = then;
            vector = trial;
            slots.apply(swap);
            ++result.swaps;
            if (now < result.distance) result.distance = now, best = rows, closer = result.tried;
        } else {
            clustering.part(a, d), clustering.part(c, b), clustering.join(a, b), clustering.join(c, d);
        }
    }
    rows = std::move(best);
    return result;
}

}  // namespace wireloom
