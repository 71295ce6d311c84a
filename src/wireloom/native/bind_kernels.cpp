// The kernels of training, and the choice of their body.
//
// They take addresses: their one caller, wireloom.compute.cpu, has checked types, layouts and
// lengths, and an address costs a tenth of what an exchanged tensor does.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "kernels.hpp"

namespace nb = nanobind;

namespace wireloom {
namespace {

struct Body {
    const char* name;
    Products products;
    Convolutions convolutions;
    Steps steps;
};

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
        return {"avx512", avx512::products, avx512::convolutions, avx512::steps};
    if (has_avx2 && wish != "portable") return {"avx2", avx2::products, avx2::convolutions, avx2::steps};
#else
    if (!wish.empty() && wish != "portable")
        throw std::invalid_argument("WIRELOOM_ISA asks for " + wish + ", which this build lacks");
#endif
    return {"portable", portable::products, portable::convolutions, portable::steps};
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
    m.def("outer", [](Address words, int64_t length, Address dy, Address x, Address gradient, int64_t rows,
                      int64_t columns, int64_t size, int64_t batch, int threads) {
        const PlanLists plan = plan_at(words, length, rows, columns, size);
        const OuterArgs args{plan, at<float>(dy), at<float>(x), at<float>(gradient), batch};
        nb::gil_scoped_release release;
        body().products.outer(args, threads);
    });
    m.def("convolution", [](Address words, int64_t length, bool back, Address weights, Address x, Address y,
                            int64_t rows, int64_t columns, int64_t size, const std::vector<int64_t>& window,
                            int64_t images, int64_t height, int64_t width, int threads) {
        const PlanLists plan = plan_at(words, length, rows, columns, size);
        const ConvolutionArgs args{plan, back, at<float>(weights), at<float>(x), at<float>(y),
                                   maps_of(window, images, height, width)};
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

}  // namespace wireloom
