// Families of random graphs: one attempt each, from a stream of numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "random.hpp"
#include "rows.hpp"

namespace wireloom {

// `amount` is the number of edges, but for watts_strogatz and expander the degree and for
// barabasi_albert the edges of each new node; only the first three families rewire.
enum class Family {
    ws_flex,
    ws_flex_text,
    watts_strogatz,
    erdos_renyi,
    erdos_renyi_directed,
    barabasi_albert,
    harary,
    expander,
    expander_directed,
};

std::optional<Family> family_named(std::string_view name);
bool is_directed(Family family);
// Whether (nodes, amount) can be drawn at all; the callers' own checks say why not.
bool possible(Family family, int nodes, int64_t amount);

// Draws into `rows` (of the right size), again from the same stream until the graph is connected,
// at most `tries` times; false if it never was.
bool draw(Family family, int64_t amount, double rewire, PythonRandom& random, int tries, BitRows& rows);

}  // namespace wireloom
