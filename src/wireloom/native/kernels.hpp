// The kernels of training, on feature-major activations ([features, batch], batch contiguous).
//
// Every output element is computed by one thread in an order that depends on its own inputs
// alone. So the bits do not depend on the number of threads, nor on what else is in the arrays:
// a network's numbers are the same alone and among a thousand.
#pragma once

#include <cstdint>

#include "plans.hpp"

namespace wireloom {

// y[o, b] = sum over k of w[o, k] * x[k, b], over the blocks that exist; or, going back, the
// transposed product, from [rows, batch] to [columns, batch].
struct ProductArgs {
    PlanLists plan;
    bool back;
    const float* weights;  // [weights], row by row
    const float* bias;     // [outputs] or null
    const float* x;        // [inputs, batch]
    float* y;              // [outputs, batch]
    int64_t batch;
};

// gradient[o, k] = sum over b of dy[o, b] * x[k, b] for the weights that exist, laid out by rows.
struct OuterArgs {
    PlanLists plan;
    const float* dy;  // [rows, batch]
    const float* x;   // [columns, batch]
    float* gradient;  // [weights]
    int64_t batch;
};

// One direction of a convolution's window: taps, and how they step over the map.
struct Window {
    int64_t size, stride, padding, dilation;
    // Output pixels of a map's `inputs`; below 1 where the window does not fit.
    int64_t outputs(int64_t inputs) const {
        const int64_t free = inputs + 2 * padding - dilation * (size - 1) - 1;
        return free < 0 ? 0 : free / stride + 1;
    }
    // Whether some inputs may be under no tap at all.
    bool skips() const { return stride > 1 && (size < stride || dilation > 1); }
};

// The maps of a convolution; x has height x width pixels, y has out_height x out_width.
struct Maps {
    int64_t images, height, width, out_height, out_width;
    Window down, across;
    int64_t taps() const { return down.size * across.size; }
};

// What follows a convolution in inference: batch normalisation by running values, the sum with a
// residual, and an activation.
struct Finish {
    const float *scale, *shift, *mean, *variance;  // [rows]
    const float* residual;  // of y's shape, or null
    float epsilon;
    int activation;
};

// y[o] = sum over k of w[o, k] * x[k], a convolution of maps, over the entries that exist, each
// with its taps.
struct ConvolutionArgs {
    PlanLists plan;
    bool back;             // whether y is the gradient of the input, given the output's as x
    const float* weights;  // [weights, taps], row by row
    const float* x;        // [columns, images, height, width]; going back, y's maps
    float* y;              // [rows, images, out_height, out_width]; going back, x's maps
    Maps maps;
    const Finish* finish;  // or null
};

// gradient[o, k, tap] = sum over images and pixels of dy[o] and of x[k] under the tap.
struct ConvolutionOuterArgs {
    PlanLists plan;
    const float* dy;  // [rows, images, out_height, out_width]
    const float* x;   // [columns, images, height, width]
    float* gradient;  // [weights, taps]
    Maps maps;
};

enum Activation : int { kNone, kRelu, kSilu };

// y = activation(normalise(x) + residual), normalised by feature.
struct NormArgs {
    int64_t features, count;
    const float* x;         // [features, count]
    const float* residual;  // [features, count] or null
    const float *scale, *shift;              // [features]
    float *running_mean, *running_variance;  // [features], updated when training
    float* statistics;  // [3, features]: mean, what its rounding lost, 1 / sqrt(variance + epsilon)
    float* y;           // [features, count]
    float momentum, epsilon;
    int activation;
    bool training;
};

struct NormBackwardArgs {
    int64_t features, count;
    const float *dy, *x;      // [features, count]
    const float* gate;        // with a residual: y under ReLU, the residual under SiLU; else unused
    const float *scale, *shift, *statistics;
    float *dx, *dresidual;    // [features, count]; the latter null without a residual
    float *dscale, *dshift;   // [features]
    int activation;
    bool training;
};

// Cross-entropy of members' logits [members * classes, batch] against shared labels [batch].
struct LossArgs {
    int64_t members, classes, batch;
    const float* logits;
    const int64_t* labels;
    float* losses;      // [members]: mean over the batch
    int32_t* wrong;     // [members]: samples whose label is not the first of the largest logits
    float* gradient;    // [members * classes, batch] of the sum over members, or null
    float smoothing;
};

// y[plane] = the largest value of each window of x[plane], as torch's max_pool2d; or, going back, dx.
struct LargestArgs {
    int64_t planes;
    const float* x;   // [planes, height, width]
    const float* dy;  // [planes, out_height, out_width] or null
    float* y;         // [planes, out_height, out_width]; going back, dx [planes, height, width]
    Maps maps;
};

// One flat parameter of a population: member m owns start[m] .. start[m+1].
struct Parameter {
    const int64_t* start;     // [members + 1]
    float *value, *first, *second;  // the parameter and the optimiser's state of it
    const float* gradient;
};

struct Parameters {
    int64_t members, count;
    const Parameter* list;
};

struct SgdArgs {
    Parameters parameters;
    const float *rate, *decay;   // [members]
    const float* clip;           // [members]: factor on the gradient, or null
    float momentum;
    bool nesterov;
};

struct AdamArgs {
    Parameters parameters;
    const float *rate, *decay;
    const float* clip;
    float fresh1, beta2, fresh2;  // 1 - beta1, beta2, 1 - beta2
    float epsilon, correction1, correction2;
    bool decoupled;               // AdamW
};

struct Products {
    void (*product)(const ProductArgs&, int threads);
    void (*outer)(const OuterArgs&, int threads);
    void (*turn)(const float* x, float* y, int64_t rows, int64_t columns, int threads);  // y = x transposed
    // Multiply-adds on registers alone, `rounds` of a few in each thread: what the processor can
    // do at most. Returns how many; `result` gets a number that all of them enter.
    int64_t (*peak)(int64_t rounds, float* result, int threads);
};

struct Convolutions {
    void (*convolution)(const ConvolutionArgs&, int threads);
    void (*outer)(const ConvolutionOuterArgs&, int threads);
};

struct Normalisation {
    void (*norm)(const NormArgs&, int threads);
    void (*norm_backward)(const NormBackwardArgs&, int threads);
};

struct Losses {
    void (*loss)(const LossArgs&, int threads);
};

struct Activations {
    void (*exponential)(const float* x, float* y, int64_t size, int threads);
    void (*sigmoid)(const float* x, float* y, int64_t size, int threads);
    void (*row_sums)(const float* x, const float* y, float* sums, int64_t rows, int64_t count, int threads);
    void (*largest)(const LargestArgs&, int threads);
};

struct Optimisers {
    void (*sgd)(const SgdArgs&, int threads);
    void (*adam)(const AdamArgs&, int threads);
    void (*square_norms)(const Parameters&, double* sums, int threads);  // sums += |gradient|^2
};

namespace portable {
extern const Products products;
extern const Convolutions convolutions;
extern const Normalisation normalisation;
extern const Losses losses;
extern const Activations activations;
extern const Optimisers optimisers;
}  // namespace portable
#ifdef WIRELOOM_X86
namespace avx2 {
extern const Products products;
extern const Convolutions convolutions;
extern const Normalisation normalisation;
extern const Losses losses;
extern const Activations activations;
extern const Optimisers optimisers;
}  // namespace avx2
namespace avx512 {
extern const Products products;
extern const Convolutions convolutions;
extern const Normalisation normalisation;
extern const Losses losses;
extern const Activations activations;
extern const Optimisers optimisers;
}  // namespace avx512
#endif

}  // namespace wireloom
