// Graphs as Python has them: numpy arrays of edges.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "centrality.hpp"
#include "families.hpp"
#include "measures.hpp"
#include "moves.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace wireloom {
namespace {

template <class T>
using Array1 = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Array2 = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

template <class T>
nb::ndarray<nb::numpy, T> owned(std::vector<T>&& values, std::initializer_list<size_t> shape) {
    auto* kept = new std::vector<T>(std::move(values));
    nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    return nb::ndarray<nb::numpy, T>(kept->data(), shape, owner);
}

template <class T>
nb::ndarray<nb::numpy, T> column(std::vector<T>&& values) {
    const size_t count = values.size();
    return owned(std::move(values), {count});
}

MeasureBody measure_body() {
    static const MeasureBody chosen = [] {
        const std::string wish = asked_isa();
#ifdef WIRELOOM_X86
        __builtin_cpu_init();
        if ((wish.empty() || wish == "avx512") && __builtin_cpu_supports("avx512f") &&
            __builtin_cpu_supports("avx512vpopcntdq"))
            return lanes::measure;
#endif
        return words::measure;
    }();
    return chosen;
}

// The edges (u, v), u < v unless directed, of rows in ascending order: int32 [edges, 2].
nb::ndarray<nb::numpy, int32_t> edges_of(const BitRows& rows, bool directed) {
    std::vector<int32_t> ends;
    for (int u = 0; u < rows.nodes(); ++u)
        each_bit(rows.row(u), rows.words(), [&](int v) {
            if (directed || u < v) ends.push_back(u), ends.push_back(v);
        });
    const size_t count = ends.size() / 2;
    return owned(std::move(ends), {count, 2});
}

BitRows rows_of(int nodes, const int32_t* ends, int64_t edges, bool directed) {
    BitRows rows(nodes);
    if (nodes <= 64) {  // edges come sorted: the row at hand stays in a register
        uint64_t row = 0;
        int current = 0;
        for (int64_t e = 0; e < edges; ++e) {
            const int u = ends[2 * e], v = ends[2 * e + 1];
            if (u != current) rows.add(current, row), row = 0, current = u;
            row |= uint64_t{1} << v;
            if (!directed) rows.point(v, u);
        }
        rows.add(current, row);
        return rows;
    }
    for (int64_t e = 0; e < edges; ++e) {
        rows.point(ends[2 * e], ends[2 * e + 1]);
        if (!directed) rows.point(ends[2 * e + 1], ends[2 * e]);
    }
    return rows;
}

Family family_or_throw(const std::string& name) {
    const auto family = family_named(name);
    if (!family) throw std::invalid_argument("there is no family '" + name + "'");
    return *family;
}

nb::object draw_one(const std::string& name, int nodes, int64_t amount, double rewire, uint64_t seed, int tries) {
    const Family family = family_or_throw(name);
    if (!possible(family, nodes, amount)) throw std::invalid_argument(name + ": nodes or amount out of range");
    BitRows rows(nodes);
    PythonRandom random(seed);
    if (!draw(family, amount, rewire, random, tries, rows)) return nb::none();
    return nb::cast(edges_of(rows, is_directed(family)));
}

// Draws one graph of each (amount, rewire, seed) and measures it: C, L, NaN where none connected.
nb::tuple draw_and_measure(const std::string& name, int nodes, Array1<int64_t> amount, Array1<double> rewire,
                           Array1<uint64_t> seed, int tries, int threads) {
    const Family family = family_or_throw(name);
    const int64_t graphs = static_cast<int64_t>(amount.shape(0));
    if (static_cast<int64_t>(rewire.shape(0)) != graphs || static_cast<int64_t>(seed.shape(0)) != graphs || threads < 1)
        throw std::invalid_argument("draw_and_measure: columns of one length, and a thread");
    for (int64_t g = 0; g < graphs; ++g)
        if (!possible(family, nodes, amount.data()[g]))
            throw std::invalid_argument(name + ": nodes or amount out of range");
    std::vector<double> clustering(graphs, NAN), path_length(graphs, NAN);
    {
        nb::gil_scoped_release release;
        const MeasureBody measure = measure_body();
        const SeededStreams streams(std::vector<uint64_t>(seed.data(), seed.data() + graphs));
#pragma omp parallel num_threads(threads)
        {
            BitRows rows(nodes);
#pragma omp for schedule(dynamic, 16)
            for (int64_t g = 0; g < graphs; ++g) {
                PythonRandom random = streams.of(seed.data()[g]);
                if (!draw(family, amount.data()[g], rewire.data()[g], random, tries, rows)) continue;
                const Measures found = is_directed(family) ? measure(rows.both_ways(), false, 1)
                                                                 : measure(rows, false, 1);
                clustering[g] = found.clustering;
                path_length[g] = found.path_length;
            }
        }
    }
    return nb::make_tuple(column(std::move(clustering)), column(std::move(path_length)));
}

// Many graphs: graph g has nodes[g] nodes and counts[g] edges, int32 pairs of ends at the address
// edges[g]. The one caller, wireloom.wiring.measures, holds the arrays meanwhile; gathering them
// into one would take as long as measuring them. Calls work(g, rows) on each, in parallel if there
// are several.
struct Graphs {
    Array1<int32_t> nodes;
    Array1<uint64_t> edges;
    Array1<int64_t> counts;
};

template <class Work>
void each_graph(const Graphs& given, bool directed, int threads, Work work) {
    const int64_t graphs = static_cast<int64_t>(given.nodes.shape(0));
    bool sound = static_cast<int64_t>(given.edges.shape(0)) == graphs &&
                 static_cast<int64_t>(given.counts.shape(0)) == graphs && threads >= 1;
    for (int64_t g = 0; sound && g < graphs; ++g) sound = given.nodes.data()[g] >= 1 && given.counts.data()[g] >= 0;
    if (!sound) throw std::invalid_argument("graphs: nodes, edges and a count for each, and a thread");
    {
        nb::gil_scoped_release release;
        const int inner = graphs == 1 ? threads : 1;
#pragma omp parallel for schedule(dynamic, 8) num_threads(graphs == 1 ? 1 : threads) reduction(&& : sound)
        for (int64_t g = 0; g < graphs; ++g) {
            const int nodes = given.nodes.data()[g];
            const int64_t count = given.counts.data()[g];
            const int32_t* ends = reinterpret_cast<const int32_t*>(given.edges.data()[g]);
            uint32_t highest = 0;
            for (int64_t i = 0; i < 2 * count; ++i) highest = std::max(highest, static_cast<uint32_t>(ends[i]));
            sound = sound && (highest < static_cast<uint32_t>(nodes) || count == 0);
            if (!sound) continue;
            work(g, rows_of(nodes, ends, count, directed), inner);
        }
    }
    if (!sound) throw std::invalid_argument("graphs: an edge names a node that is not there");
}

nb::tuple measure_many(Array1<int32_t> nodes, Array1<uint64_t> edges, Array1<int64_t> counts, bool directed,
                       int threads) {
    const size_t graphs = nodes.shape(0);
    std::vector<double> clustering(graphs), path_length(graphs), efficiency(graphs);
    std::vector<int64_t> apart(graphs);
    const MeasureBody measure = measure_body();
    each_graph({nodes, edges, counts}, directed, threads, [&](int64_t g, const BitRows& rows, int inner) {
        const Measures found = measure(rows, directed, inner);
        clustering[g] = found.clustering;
        path_length[g] = found.path_length;
        efficiency[g] = found.efficiency;
        apart[g] = found.apart;
    });
    return nb::make_tuple(column(std::move(clustering)), column(std::move(path_length)),
                          column(std::move(efficiency)), column(std::move(apart)));
}

// Betweenness of every node of every graph, one graph after another: float64 [sum of nodes].
nb::ndarray<nb::numpy, double> betweenness_many(Array1<int32_t> nodes, Array1<uint64_t> edges,
                                                Array1<int64_t> counts, int threads) {
    std::vector<int64_t> first{0};
    for (size_t g = 0; g < nodes.shape(0); ++g) first.push_back(first.back() + nodes.data()[g]);
    std::vector<double> all(first.back());
    each_graph({nodes, edges, counts}, false, threads, [&](int64_t g, const BitRows& rows, int) {
        const std::vector<double> found = betweenness(rows);
        std::copy(found.begin(), found.end(), all.begin() + first[g]);
    });
    return column(std::move(all));
}

// Community of every node of every graph, one graph after another, and each graph's modularity.
nb::tuple communities_many(Array1<int32_t> nodes, Array1<uint64_t> edges, Array1<int64_t> counts, int orders,
                           int threads) {
    std::vector<int64_t> first{0};
    for (size_t g = 0; g < nodes.shape(0); ++g) first.push_back(first.back() + nodes.data()[g]);
    std::vector<int32_t> labels(first.back());
    std::vector<double> modularity(nodes.shape(0));
    each_graph({nodes, edges, counts}, false, threads, [&](int64_t g, const BitRows& rows, int) {
        const Communities found = communities(rows, orders);
        std::copy(found.label.begin(), found.label.end(), labels.begin() + first[g]);
        modularity[g] = found.modularity;
    });
    return nb::make_tuple(column(std::move(labels)), column(std::move(modularity)));
}

// `target`: clustering, path length, spectral gap (NaN: any), their weights, and the weighted
// distance that is close enough.
nb::tuple steer_one(int nodes, Array2<int32_t> ends, Array1<int32_t> kinds, Array1<double> target, int64_t swaps, uint64_t seed) {
    if (nodes < 1 || ends.shape(1) != 2 || ends.shape(0) < 1 || target.shape(0) != 7 ||
        static_cast<int>(kinds.shape(0)) != nodes)
        throw std::invalid_argument("steer: edges, a kind for each node, and seven numbers as the target");
    for (size_t i = 0; i < 2 * ends.shape(0); ++i)
        if (static_cast<uint32_t>(ends.data()[i]) >= static_cast<uint32_t>(nodes))
            throw std::invalid_argument("steer: an edge names a node that is not there");
    const double* t = target.data();
    BitRows rows = rows_of(nodes, ends.data(), static_cast<int64_t>(ends.shape(0)), false);
    Steered found;
    {
        nb::gil_scoped_release release;
        PythonRandom random(seed);
        found = steer(rows, kinds.data(), {t[0], t[1], t[2], t[3], t[4], t[5], t[6]}, swaps, random, measure_body());
    }
    return nb::make_tuple(edges_of(rows, false), found.distance, found.swaps, found.tried);
}

}  // namespace

void bind_graphs(nb::module_& m) {
    m.def("draw", &draw_one, "family"_a, "nodes"_a, "amount"_a, "rewire"_a, "seed"_a, "tries"_a);
    m.def("draw_and_measure", &draw_and_measure, "family"_a, "nodes"_a, "amount"_a, "rewire"_a, "seed"_a, "tries"_a,
          "threads"_a);
    m.def("measure", &measure_many, "nodes"_a, "edges"_a, "counts"_a, "directed"_a, "threads"_a);
    m.def("betweenness", &betweenness_many, "nodes"_a, "edges"_a, "counts"_a, "threads"_a);
    m.def("communities", &communities_many, "nodes"_a, "edges"_a, "counts"_a, "orders"_a, "threads"_a);
    m.def("steer", &steer_one, "nodes"_a, "ends"_a, "kinds"_a, "target"_a, "swaps"_a, "seed"_a);
}

}  // namespace wireloom
