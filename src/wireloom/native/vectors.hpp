// Vectors of the width that one body of the kernels has, in the compiler's own vector types.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace wireloom {
namespace WIRELOOM_BODY {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16, kOuterRows = 4;
#elif defined(__AVX2__)
constexpr int kLanes = 8, kOuterRows = 2;
#else
constexpr int kLanes = 4, kOuterRows = 1;
#endif
constexpr int kRows = 6;  // most rows of a tile

typedef float Vec __attribute__((vector_size(kLanes * sizeof(float))));

inline Vec load(const float* from) {
    Vec v;
    std::memcpy(&v, from, sizeof v);
    return v;
}
inline void store(float* to, Vec v) { std::memcpy(to, &v, sizeof v); }
// The first `count` values, fewer than a vector's; the other lanes are zero.
inline Vec load_some(const float* from, int64_t count) {
#if defined(__AVX512F__)
    return (Vec)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from);
#else
    float lanes[kLanes] = {};
    for (int64_t i = 0; i < count; ++i) lanes[i] = from[i];
    return load(lanes);
#endif
}
inline void store_some(float* to, Vec v, int64_t count) {
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1), (__m512)v);
#else
    float lanes[kLanes];
    store(lanes, v);
    for (int64_t i = 0; i < count; ++i) to[i] = lanes[i];
#endif
}
// The lanes from..until of a vector, from or to the same places of an array; no other place is touched.
inline Vec load_between(Vec v, const float* from, int first, int until) {
#if defined(__AVX512F__)
    return (Vec)_mm512_mask_loadu_ps((__m512)v, static_cast<__mmask16>((1u << until) - (1u << first)), from);
#else
    float lanes[kLanes];
    store(lanes, v);
    for (int i = first; i < until; ++i) lanes[i] = from[i];
    return load(lanes);
#endif
}
inline void store_between(float* to, Vec v, int first, int until) {
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << until) - (1u << first)), (__m512)v);
#else
    float lanes[kLanes];
    store(lanes, v);
    for (int i = first; i < until; ++i) to[i] = lanes[i];
#endif
}
// A value that stays in its register: compilers else read it from memory at each of its uses.
inline Vec held(Vec v) {
#if defined(__AVX512F__)
    asm("" : "+v"(v));
#elif defined(__AVX2__)
    asm("" : "+x"(v));
#endif
    return v;
}
// Copies of a few vectors' length, for which a call to the library would cost more.
inline void copy(float* to, const float* from, int64_t count) {
    if (count < kLanes) {
        std::memcpy(to, from, count * sizeof(float));
        return;
    }
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) store(to + i, load(from + i));
    if (i < count) store(to + count - kLanes, load(from + count - kLanes));
}
// Zero in the lanes whose mask is.
inline Vec masked(Vec v, const int32_t* mask) {
    typedef int32_t Bits __attribute__((vector_size(kLanes * sizeof(int32_t))));
    Bits kept;
    std::memcpy(&kept, mask, sizeof kept);
    return (Vec)((Bits)v & kept);
}
// Loads once into a register, where a compiler might read memory again at each use.
inline Vec load_once(const float* from) {
    Vec v = load(from);
#if defined(__x86_64__)
    asm("" : "+v"(v));
#endif
    return v;
}
inline Vec spread(float value) { return value - Vec{}; }

// ---- sums across lanes: a binary tree, the same for every caller -----------------------------

// Lanes fall into segments of `Segment`. In each, the first half of the result is the sum of a's
// two halves, the second half that of b's: one blend, one shuffle, one addition.
template <int Segment, int... I>
inline Vec fold(Vec a, Vec b, std::integer_sequence<int, I...>) {
    constexpr int half = Segment / 2;
#if defined(__AVX512F__)
    constexpr __mmask16 second = ((I % Segment < half ? 0 : 1 << I) | ...);
    const Vec kept = (Vec)_mm512_mask_mov_ps((__m512)a, second, (__m512)b);
#else
    const Vec kept = __builtin_shufflevector(a, b, (I % Segment < half ? I : kLanes + I)...);
#endif
    return kept + __builtin_shufflevector(a, b, (I % Segment < half ? I + half : kLanes + I - half)...);
}
// Lane i of the result is the sum over the lanes of v[i].
template <int Segment = kLanes, int... I>
inline Vec sum_each(const Vec* v, std::integer_sequence<int, I...>) {
    if constexpr (Segment == 2) {
        return fold<2>(v[0], v[1], std::make_integer_sequence<int, kLanes>{});
    } else {
        constexpr int half = sizeof...(I);
        const Vec folded[half] = {fold<Segment>(v[I], v[I + half], std::make_integer_sequence<int, kLanes>{})...};
        return sum_each<half>(folded, std::make_integer_sequence<int, half / 2>{});
    }
}
inline Vec sum_each(const Vec* v) { return sum_each<kLanes>(v, std::make_integer_sequence<int, kLanes / 2>{}); }
// The lanes of two vectors in turn: the first (Half = 0) or second half of both.
template <int Half, size_t... I>
inline Vec interleaved(Vec a, Vec b, std::index_sequence<I...>) {
    return __builtin_shufflevector(
        a, b, (static_cast<int>(I) / 2 + Half * (kLanes / 2) + static_cast<int>(I) % 2 * kLanes)...);
}
// Every second lane of two vectors, from the first on.
template <size_t... I>
inline Vec evens(Vec a, Vec b, std::index_sequence<I...>) {
    return __builtin_shufflevector(a, b, (2 * static_cast<int>(I))...);
}
inline Vec evens(Vec a, Vec b) { return evens(a, b, std::make_index_sequence<kLanes>{}); }
// And from the second on.
template <size_t... I>
inline Vec odds(Vec a, Vec b, std::index_sequence<I...>) {
    return __builtin_shufflevector(a, b, (2 * static_cast<int>(I) + 1)...);
}
inline Vec odds(Vec a, Vec b) { return odds(a, b, std::make_index_sequence<kLanes>{}); }
// Lane j of vector i becomes lane i of vector j.
inline void transpose(Vec* v) {
    Vec other[kLanes];
    for (int round = 1; round < kLanes; round *= 2) {
        for (int i = 0; i < kLanes / 2; ++i) {
            other[2 * i] = interleaved<0>(v[i], v[i + kLanes / 2], std::make_index_sequence<kLanes>{});
            other[2 * i + 1] = interleaved<1>(v[i], v[i + kLanes / 2], std::make_index_sequence<kLanes>{});
        }
        for (int i = 0; i < kLanes; ++i) v[i] = other[i];
    }
}
inline float sum(Vec v) {
    float lanes[kLanes];
    store(lanes, v);
    for (int half = kLanes / 2; half; half /= 2)
        for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
    return lanes[0];
}

}  // namespace
}  // namespace WIRELOOM_BODY
}  // namespace wireloom
