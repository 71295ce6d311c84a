// Moves on a graph that keep every node's degree.
#pragma once

#include <cstdint>

#include "measures.hpp"
#include "random.hpp"
#include "rows.hpp"

namespace wireloom {

// What a graph is steered to; NaN where it does not matter. The weights make the distances of
// different measures comparable.
struct Target {
    double clustering, path_length, spectral_gap;
    double clustering_weight, path_length_weight, spectral_gap_weight;
    double close_enough;  // weighted distance at which the search ends
};

struct Steered {
    double distance;  // of the best graph found, weighted
    int64_t swaps;    // kept on the way
    int64_t tried;
};

// The second-smallest eigenvalue of the normalised Laplacian, by power iteration from `vector`
// [nodes], which it improves; 0 for a graph that falls apart.
double spectral_gap(const BitRows& rows, double* vector);

// Simulated annealing by double edge swaps, each of which takes a - b, c - d to a - d, c - b and
// keeps the graph connected. `kinds` [nodes] labels nodes: the number of edges between two kinds
// stays the same. `rows` becomes the best graph found.
Steered steer(BitRows& rows, const int32_t* kinds, const Target& target, int64_t swaps, PythonRandom& random, MeasureBody measure);

}  // namespace wireloom
