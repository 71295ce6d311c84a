// Measures that follow single edges: betweenness and communities.
#pragma once

#include <cstdint>
#include <vector>

#include "rows.hpp"

namespace wireloom {

// Betweenness of each node: over pairs of other nodes, the mean share of their shortest paths that
// pass through it (Brandes 2001).
std::vector<double> betweenness(const BitRows& rows);

struct Communities {
    std::vector<int32_t> label;  // of each node, numbered from 0 in order of first appearance
    double modularity = 0.0;
};

// A partition of high modularity, by moving nodes and then whole communities to where they gain
// most (Blondel et al. 2008); the best of `orders` orders of the nodes, the first ascending.
Communities communities(const BitRows& rows, int orders);

}  // namespace wireloom
