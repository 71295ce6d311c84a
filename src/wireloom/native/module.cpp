// Python bindings, and the choice of the kernels' body.
//
// The graph functions take numpy arrays. The kernels take addresses: their one caller,
// wireloom.compute.cpu, has checked types, layouts and lengths, and an address costs a tenth of
// what an exchanged tensor does.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "graphs.hpp"
#include "kernels.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace wireloom {
namespace {

struct Body {
    const char* name;
    Products products;
    Steps steps;
};

Body choose() {
    const char* asked = std::getenv("WIRELOOM_ISA");
    const std::string wish = asked ? asked : "";
    if (!wish.empty() && wish != "portable" && wish != "avx2" && wish != "avx512")
        throw std::invalid_argument("WIRELOOM_ISA must be portable, avx2 or avx512; got '" + wish + "'");
#ifdef WIRELOOM_X86
    __builtin_cpu_init();
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if ((wish == "avx512" && !has_avx512) || (wish == "avx2" && !has_avx2))
        throw std::invalid_argument("WIRELOOM_ISA asks for " + wish + ", which this processor lacks");
    if (has_avx512 && (wish.empty() || wish == "avx512")) return {"avx512", avx512::products, avx512::steps};
    if (has_avx2 && wish != "portable") return {"avx2", avx2::products, avx2::steps};
#else
    if (!wish.empty() && wish != "portable")
        throw std::invalid_argument("WIRELOOM_ISA asks for " + wish + ", which this build lacks");
#endif
    return {"portable", portable::products, portable::steps};
}

const Body& body() {
    static const Body chosen = choose();
    return chosen;
}

using Address = uintptr_t;

template <class T>
T* at(Address address) {
    return reinterpret_cast<T*>(address);
}

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

nb::object draw_ws_flex(int nodes, int64_t edges, double rewire, uint64_t seed, int tries) {
    if (nodes < 2 || edges < 1 || edges > static_cast<int64_t>(nodes) * (nodes - 1) / 2)
        throw std::invalid_argument("ws_flex: nodes or edges out of range");
    EdgeList list = ws_flex(nodes, edges, rewire, seed, tries);
    if (!list.connected) return nb::none();
    const size_t rows = list.ends.size() / 2;
    return nb::cast(owned(std::move(list.ends), {rows, 2}));
}

// Graph g has nodes[g] nodes and the edges that ends[g] lists.
nb::tuple measure_many(Array1<int32_t> nodes, nb::list ends, int threads) {
    const int64_t graphs = static_cast<int64_t>(nodes.shape(0));
    if (static_cast<int64_t>(ends.size()) != graphs || threads < 1)
        throw std::invalid_argument("measure: one array of edges for each number of nodes, and a thread");
    std::vector<Array2<int32_t>> lists;
    lists.reserve(graphs);
    for (nb::handle list : ends) lists.push_back(nb::cast<Array2<int32_t>>(list));
    std::vector<double> clustering(graphs), path_length(graphs);
    bool sound = true;
    {
        nb::gil_scoped_release release;
#pragma omp parallel for schedule(dynamic, 8) num_threads(threads) reduction(&& : sound)
        for (int64_t g = 0; g < graphs; ++g) {
            const int32_t* list = lists[g].data();
            const int64_t edges = static_cast<int64_t>(lists[g].shape(0));
            const uint32_t limit = static_cast<uint32_t>(nodes.data()[g]);
            bool fits = nodes.data()[g] >= 1 && lists[g].shape(1) == 2;
            for (int64_t i = 0; fits && i < 2 * edges; ++i) fits = static_cast<uint32_t>(list[i]) < limit;
            sound = sound && fits;
            if (!fits) continue;
            const Measures m = measure(nodes.data()[g], list, edges);
            clustering[g] = m.clustering;
            path_length[g] = m.path_length;
        }
    }
    if (!sound) throw std::invalid_argument("measure: an edge names a node that is not there");
    const size_t count = static_cast<size_t>(graphs);
    return nb::make_tuple(owned(std::move(clustering), {count}), owned(std::move(path_length), {count}));
}

}  // namespace
}  // namespace wireloom

NB_MODULE(_native, m) {
    using namespace wireloom;
    m.def("ws_flex", &draw_ws_flex, "nodes"_a, "edges"_a, "rewire"_a, "seed"_a, "tries"_a);
    m.def("measure", &measure_many, "nodes"_a, "ends"_a, "threads"_a);
    m.def("body", [] { return std::string(body().name); });

    m.def("product", [](int64_t groups, Address row_start, Address input_start, Address inputs, Address weight_start,
                        Address weight_first, Address row_stride, Address weights, Address bias, Address x, Address y,
                        int64_t batch, int threads) {
        const ProductArgs args{groups, at<int32_t>(row_start), at<int64_t>(input_start), at<int32_t>(inputs),
                               at<int64_t>(weight_start), at<int64_t>(weight_first), at<int64_t>(row_stride),
                               at<float>(weights), at<float>(bias), at<float>(x), at<float>(y), batch};
        nb::gil_scoped_release release;
        body().products.product(args, threads);
    });
    m.def("outer", [](int64_t groups, Address row_start, Address input_start, Address inputs, Address weight_first,
                      Address dy, Address x, Address gradient, int64_t batch, int threads) {
        const OuterArgs args{groups, at<int32_t>(row_start), at<int64_t>(input_start), at<int32_t>(inputs),
                             at<int64_t>(weight_first), at<float>(dy), at<float>(x), at<float>(gradient), batch};
        nb::gil_scoped_release release;
        body().products.outer(args, threads);
    });
    m.def("norm", [](int64_t features, int64_t batch, Address x, Address scale, Address shift, Address mean,
                     Address rstd, Address running_mean, Address running_variance, Address y, float momentum,
                     float epsilon, bool relu, bool training, int threads) {
        const NormArgs args{features, batch, at<float>(x), at<float>(scale), at<float>(shift), at<float>(mean),
                            at<float>(rstd), at<float>(running_mean), at<float>(running_variance), at<float>(y),
                            momentum, epsilon, relu, training};
        nb::gil_scoped_release release;
        body().steps.norm(args, threads);
    });
    m.def("norm_backward", [](int64_t features, int64_t batch, Address x, Address y, Address dy, Address scale,
                              Address mean, Address rstd, Address dx, Address dscale, Address dshift, bool relu,
                              int threads) {
        const NormBackwardArgs args{features, batch, at<float>(x), at<float>(y), at<float>(dy), at<float>(scale),
                                    at<float>(mean), at<float>(rstd), at<float>(dx), at<float>(dscale),
                                    at<float>(dshift), relu};
        nb::gil_scoped_release release;
        body().steps.norm_backward(args, threads);
    });
    m.def("loss", [](int64_t members, int64_t classes, int64_t batch, Address logits, Address labels, Address losses,
                     Address wrong, Address gradient, float smoothing, int threads) {
        const LossArgs args{members, classes, batch, at<float>(logits), at<int64_t>(labels), at<float>(losses),
                            at<int32_t>(wrong), at<float>(gradient), smoothing};
        nb::gil_scoped_release release;
        body().steps.loss(args, threads);
    });
    m.def("sgd", [](int64_t members, Address start, Address parameter, Address velocity, Address gradient,
                    Address rate, Address decay, Address clip, float momentum, bool nesterov, int threads) {
        const SgdArgs args{{members, at<int64_t>(start)}, at<float>(parameter), at<float>(velocity),
                           at<float>(gradient), at<float>(rate), at<float>(decay), at<float>(clip), momentum, nesterov};
        nb::gil_scoped_release release;
        body().steps.sgd(args, threads);
    });
    m.def("adam", [](int64_t members, Address start, Address parameter, Address first, Address second,
                     Address gradient, Address rate, Address decay, Address clip, float beta1, float beta2,
                     float epsilon, float correction1, float correction2, bool decoupled, int threads) {
        const AdamArgs args{{members, at<int64_t>(start)}, at<float>(parameter), at<float>(first), at<float>(second),
                            at<float>(gradient), at<float>(rate), at<float>(decay), at<float>(clip), beta1, beta2,
                            epsilon, correction1, correction2, decoupled};
        nb::gil_scoped_release release;
        body().steps.adam(args, threads);
    });
    m.def("square_norms", [](int64_t members, Address start, Address values, Address sums, int threads) {
        const Spans spans{members, at<int64_t>(start)};
        nb::gil_scoped_release release;
        body().steps.square_norms(spans, at<float>(values), at<double>(sums), threads);
    });
}
