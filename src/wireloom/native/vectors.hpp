// Vectors of the width that one body of the kernels has, in the compiler's own vector types.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

namespace wireloom {
namespace WIRELOOM_BODY {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16, kVectors = 4, kOuterRows = 4;
#elif defined(__AVX2__)
constexpr int kLanes = 8, kVectors = 2, kOuterRows = 2;
#else
constexpr int kLanes = 4, kVectors = 2, kOuterRows = 1;
#endif
constexpr int kRows = 6;                  // rows of a product's tile
constexpr int kTile = kLanes * kVectors;  // columns of a product's tile

typedef float Vec __attribute__((vector_size(kLanes * sizeof(float))));

inline Vec load(const float* from) {
    Vec v;
    std::memcpy(&v, from, sizeof v);
    return v;
}
inline void store(float* to, Vec v) { std::memcpy(to, &v, sizeof v); }
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

// Of two vectors whose lanes fall into segments of `Segment` lanes, the first (Half = 0) or second
// (Half = 1) halves of all segments, side by side.
template <int Segment, int Half, size_t... I>
inline Vec halves(Vec a, Vec b, std::index_sequence<I...>) {
    return __builtin_shufflevector(
        a, b, (static_cast<int>(I) / (Segment / 2) * Segment + Half * (Segment / 2) + static_cast<int>(I) % (Segment / 2))...);
}
template <int Segment>
inline Vec fold(Vec a, Vec b) {
    return halves<Segment, 0>(a, b, std::make_index_sequence<kLanes>{}) +
           halves<Segment, 1>(a, b, std::make_index_sequence<kLanes>{});
}
// Lane i of the result is the sum over the lanes of v[i].
template <int Count = kLanes>
inline Vec sum_each(Vec* v) {
    if constexpr (Count == 1) {
        return v[0];
    } else {
        for (int i = 0; i < Count / 2; ++i) v[i] = fold<Count>(v[2 * i], v[2 * i + 1]);
        return sum_each<Count / 2>(v);
    }
}
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
