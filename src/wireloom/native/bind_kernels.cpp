// The kernels of training, and the choice of their body.
//
// They take addresses: their one caller, wireloom.compute.cpu, has checked types, layouts and
// lengths, and an address costs a tenth of what an exchanged tensor does.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "bindings.hpp"
#include "kernels.hpp"
#ifdef WIRELOOM_BF16
#include "products_bf16.hpp"
#endif

namespace nb = nanobind;

namespace wireloom {
namespace {

struct Body {
    const char* name;
    Products products;
    Convolutions convolutions;
    Normalisation normalisation;
    Losses losses;
    Activations activations;
    Optimisers optimisers;
};

#define WIRELOOM_BODY_OF(name) \
    {#name, name::products, name::convolutions, name::normalisation, name::losses, name::activations, name::optimisers}

Body choose() {
    const std::string wish = asked_isa();
#ifdef WIRELOOM_X86
    __builtin_cpu_init();
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if ((wish == "avx512" && !has_avx512) || (wish == "avx2" && !has_avx2))
        throw std::invalid_argument("WIRELOOM_ISA asks for " + wish + ", which this processor lacks");
    if (has_avx512 && (wish.empty() || wish == "avx512"))
        return Body WIRELOOM_BODY_OF(avx512);
    if (has_avx2 && wish != "portable") return Body WIRELOOM_BODY_OF(avx2);
#else
    if (!wish.empty() && wish != "portable")
        throw std::invalid_argument("WIRELOOM_ISA asks for " + wish + ", which this build lacks");
#endif
    return Body WIRELOOM_BODY_OF(portable);
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

PlanLists plan_at(Address words, int64_t length, int64_t rows, int64_t columns, int64_t weights) {
    PlanLists plan;
    if (!read_plan(at<int64_t>(words), length, plan)) throw std::invalid_argument("this is no plan");
    if (plan.rows != rows || plan.columns != columns || plan.weights != weights)
        throw std::invalid_argument("the plan is one of " + std::to_string(plan.rows) + " x " +
                                    std::to_string(plan.columns) + " with " + std::to_string(plan.weights) +
                                    " weights; the operands have " + std::to_string(rows) + " x " +
                                    std::to_string(columns) + " with " + std::to_string(weights));
    return plan;
}

// For each parameter the addresses of its spans, value, first and second state, and gradient.
using Rows = std::vector<std::tuple<Address, Address, Address, Address, Address>>;

std::vector<Parameter> parameters_at(const Rows& rows) {
    std::vector<Parameter> list;
    list.reserve(rows.size());
    for (const auto& [start, value, first, second, gradient] : rows)
        list.push_back({at<int64_t>(start), at<float>(value), at<float>(first), at<float>(second), at<float>(gradient)});
    return list;
}

// The maps of a convolution whose input is `images` of height x width. The window is kernel,
// stride, padding and dilation, as (height, width) each.
Maps maps_of(const std::vector<int64_t>& window, int64_t images, int64_t height, int64_t width) {
    constexpr int64_t kMost = int64_t{1} << 31;
    if (window.size() != 8) throw std::invalid_argument("a window has 8 numbers");
    for (int i = 0; i < 8; ++i)
        if (window[i] < (i == 4 || i == 5 ? 0 : 1) || window[i] >= kMost)
            throw std::invalid_argument("a window's number is out of range");
    const Window down{window[0], window[2], window[4], window[6]}, across{window[1], window[3], window[5], window[7]};
    return {images, height, width, down.outputs(height), across.outputs(width), down, across};
}

}  // namespace

void bind_kernels(nb::module_& m) {
    m.def("body", [] { return std::string(body().name); });

    m.def("plan_fault", [](Address words, int64_t length) { return plan_fault(at<int64_t>(words), length); });
    m.def("product", [](Address words, int64_t length, bool back, Address weights, Address bias, Address x, Address y,
                        int64_t outputs, int64_t inputs, int64_t size, int64_t batch, int threads) {
        const PlanLists plan = plan_at(words, length, back ? inputs : outputs, back ? outputs : inputs, size);
        const ProductArgs args{plan, back, at<float>(weights), at<float>(bias), at<float>(x), at<float>(y), batch};
        nb::gil_scoped_release release;
        body().products.product(args, threads);
    });
#ifdef WIRELOOM_BF16
    m.def("bf16_served", [] { return std::string(body().name) == "avx512" && bf16_served(); });
    m.def("product_bf16", [](Address words, int64_t length, bool back, Address weights, Address x, Address y,
                             int64_t outputs, int64_t inputs, int64_t size, int64_t batch, int threads) {
        const PlanLists plan = plan_at(words, length, back ? inputs : outputs, back ? outputs : inputs, size);
        const Bf16Args args{plan, back, at<uint16_t>(weights), at<uint16_t>(x), at<uint16_t>(y), batch};
        nb::gil_scoped_release release;
        product_bf16(args, threads);
    });
#else
    m.def("bf16_served", [] { return false; });
    m.def("product_bf16", [](nb::args) { throw std::invalid_argument("this build has no bfloat16 product"); });
#endif
    m.def("outer", [](Address words, int64_t length, Address dy, Address x, Address gradient, int64_t rows,
                      int64_t columns, int64_t size, int64_t batch, int threads) {
        const PlanLists plan = plan_at(words, length, rows, columns, size);
        const OuterArgs args{plan, at<float>(dy), at<float>(x), at<float>(gradient), batch};
        nb::gil_scoped_release release;
        body().products.outer(args, threads);
    });
    m.def("turn", [](Address x, Address y, int64_t rows, int64_t columns, int threads) {
        nb::gil_scoped_release release;
        body().products.turn(at<float>(x), at<float>(y), rows, columns, threads);
    });
    m.def("peak", [](int64_t rounds, Address result, int threads) {
        nb::gil_scoped_release release;
        return body().products.peak(rounds, at<float>(result), threads);
    });
    m.def("convolution", [](Address words, int64_t length, bool back, Address weights, Address x, Address y,
                            int64_t rows, int64_t columns, int64_t size, const std::vector<int64_t>& window,
                            int64_t images, int64_t height, int64_t width, int threads) {
        const PlanLists plan = plan_at(words, length, rows, columns, size);
        const ConvolutionArgs args{plan, back, at<float>(weights), at<float>(x), at<float>(y),
                                   maps_of(window, images, height, width), nullptr};
        nb::gil_scoped_release release;
        body().convolutions.convolution(args, threads);
    });
    m.def("convolution_norm", [](Address words, int64_t length, Address weights, Address x, Address y, int64_t rows,
                                 int64_t columns, int64_t size, const std::vector<int64_t>& window, int64_t images,
                                 int64_t height, int64_t width, Address scale, Address shift, Address mean,
                                 Address variance, Address residual, float epsilon, int activation, int threads) {
        const PlanLists plan = plan_at(words, length, rows, columns, size);
        const Finish finish{at<float>(scale), at<float>(shift), at<float>(mean), at<float>(variance),
                            at<float>(residual), epsilon, activation};
        const ConvolutionArgs args{plan, false, at<float>(weights), at<float>(x), at<float>(y),
                                   maps_of(window, images, height, width), &finish};
        nb::gil_scoped_release release;
        body().convolutions.convolution(args, threads);
    });
    m.def("convolution_outer", [](Address words, int64_t length, Address dy, Address x, Address gradient, int64_t rows,
                                  int64_t columns, int64_t size, const std::vector<int64_t>& window, int64_t images,
                                  int64_t height, int64_t width, int threads) {
        const PlanLists plan = plan_at(words, length, rows, columns, size);
        const ConvolutionOuterArgs args{plan, at<float>(dy), at<float>(x), at<float>(gradient),
                                        maps_of(window, images, height, width)};
        nb::gil_scoped_release release;
        body().convolutions.outer(args, threads);
    });
    m.def("norm", [](int64_t features, int64_t count, Address x, Address residual, Address scale, Address shift,
                     Address running_mean, Address running_variance, Address statistics, Address y, float momentum,
                     float epsilon, int activation, bool training, int threads) {
        const NormArgs args{features, count, at<float>(x), at<float>(residual), at<float>(scale), at<float>(shift),
                            at<float>(running_mean), at<float>(running_variance), at<float>(statistics),
                            at<float>(y), momentum, epsilon, activation, training};
        nb::gil_scoped_release release;
        body().normalisation.norm(args, threads);
    });
    m.def("norm_backward", [](int64_t features, int64_t count, Address dy, Address x, Address gate, Address scale,
                              Address shift, Address statistics, Address dx, Address dresidual, Address dscale,
                              Address dshift, int activation, bool training, int threads) {
        const NormBackwardArgs args{features, count, at<float>(dy), at<float>(x), at<float>(gate), at<float>(scale),
                                    at<float>(shift), at<float>(statistics), at<float>(dx), at<float>(dresidual),
                                    at<float>(dscale), at<float>(dshift), activation, training};
        nb::gil_scoped_release release;
        body().normalisation.norm_backward(args, threads);
    });
    m.def("exponential", [](Address x, Address y, int64_t size, int threads) {
        nb::gil_scoped_release release;
        body().activations.exponential(at<float>(x), at<float>(y), size, threads);
    });
    m.def("sigmoid", [](Address x, Address y, int64_t size, int threads) {
        nb::gil_scoped_release release;
        body().activations.sigmoid(at<float>(x), at<float>(y), size, threads);
    });
    m.def("row_sums", [](Address x, Address y, Address sums, int64_t rows, int64_t count, int threads) {
        nb::gil_scoped_release release;
        body().activations.row_sums(at<float>(x), at<float>(y), at<float>(sums), rows, count, threads);
    });
    m.def("largest", [](int64_t planes, Address x, Address dy, Address y, const std::vector<int64_t>& window,
                        int64_t height, int64_t width, int threads) {
        const LargestArgs args{planes, at<float>(x), at<float>(dy), at<float>(y), maps_of(window, 1, height, width)};
        nb::gil_scoped_release release;
        body().activations.largest(args, threads);
    });
    m.def("loss", [](int64_t members, int64_t classes, int64_t batch, Address logits, Address labels, Address losses,
                     Address wrong, Address gradient, float smoothing, int threads) {
        const LossArgs args{members, classes, batch, at<float>(logits), at<int64_t>(labels), at<float>(losses),
                            at<int32_t>(wrong), at<float>(gradient), smoothing};
        nb::gil_scoped_release release;
        body().losses.loss(args, threads);
    });
    m.def("sgd", [](int64_t members, const Rows& parameters, Address rate, Address decay, Address clip,
                    float momentum, bool nesterov, int threads) {
        const std::vector<Parameter> list = parameters_at(parameters);
        const SgdArgs args{{members, static_cast<int64_t>(list.size()), list.data()}, at<float>(rate),
                           at<float>(decay), at<float>(clip), momentum, nesterov};
        nb::gil_scoped_release release;
        body().optimisers.sgd(args, threads);
    });
    m.def("adam", [](int64_t members, const Rows& parameters, Address rate, Address decay, Address clip,
                     float fresh1, float beta2, float fresh2, float epsilon, float correction1, float correction2,
                     bool decoupled, int threads) {
        const std::vector<Parameter> list = parameters_at(parameters);
        const AdamArgs args{{members, static_cast<int64_t>(list.size()), list.data()}, at<float>(rate),
                            at<float>(decay), at<float>(clip), fresh1, beta2, fresh2, epsilon, correction1,
                            correction2, decoupled};
        nb::gil_scoped_release release;
        body().optimisers.adam(args, threads);
    });
    m.def("square_norms", [](int64_t members, const Rows& parameters, Address sums, int threads) {
        const std::vector<Parameter> list = parameters_at(parameters);
        nb::gil_scoped_release release;
        body().optimisers.square_norms({members, static_cast<int64_t>(list.size()), list.data()}, at<double>(sums),
                                       threads);
    });
}

}  // namespace wireloom
