// Graphs as edge lists and as rows of bits: drawing WS-flex wirings and measuring many at once.
#pragma once

#include <cstdint>
#include <vector>

namespace wireloom {

// The Mersenne twister seeded and read as CPython's random.Random does, so that a published
// (n, k, p, seed) gives the published graph on every machine and Python version.
class PythonRandom {
public:
    explicit PythonRandom(uint64_t seed);
    double uniform();                  // random(): 53 bits in [0, 1)
    uint32_t below(uint32_t limit);    // choice(range(limit)): rejection on the top bits

private:
    uint32_t next();
    uint32_t state_[624];
    int position_ = 624;
};

struct EdgeList {
    std::vector<int32_t> ends;  // u0, v0, u1, v1, ... with u < v, sorted
    bool connected = false;
};

// WS-flex: `edges` edges on a ring of `nodes`, each rewired with probability `rewire`; drawn again
// from the same stream until connected, at most `tries` times.
EdgeList ws_flex(int nodes, int64_t edges, double rewire, uint64_t seed, int tries);

struct Measures {
    double clustering;   // mean local clustering coefficient
    double path_length;  // mean shortest path length; negative if disconnected
};

// `ends`: 2 * edges node indices of an undirected simple graph.
Measures measure(int nodes, const int32_t* ends, int64_t edges);

}  // namespace wireloom
