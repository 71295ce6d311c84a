// A graph as rows of bits: row i holds the nodes that i is joined to, 64 to a word.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace wireloom {

template <class Visit>
void each_bit(const uint64_t* row, int words, Visit visit) {
    for (int word = 0; word < words; ++word)
        for (uint64_t rest = row[word]; rest; rest &= rest - 1)
            visit(word * 64 + std::countr_zero(rest));
}

class BitRows {
public:
    explicit BitRows(int nodes)
        : nodes_(nodes), words_((nodes + 63) / 64), bits_(static_cast<std::size_t>(nodes) * words_) {}

    int nodes() const { return nodes_; }
    int words() const { return words_; }
    void clear() { bits_.assign(bits_.size(), 0); }
    const uint64_t* row(int i) const { return bits_.data() + static_cast<std::size_t>(i) * words_; }
    bool has(int i, int j) const { return row(i)[j >> 6] >> (j & 63) & 1; }

    // One way, from i to j.
    void point(int i, int j) { bits_[static_cast<std::size_t>(i) * words_ + (j >> 6)] |= uint64_t{1} << (j & 63); }
    void unpoint(int i, int j) { bits_[static_cast<std::size_t>(i) * words_ + (j >> 6)] &= ~(uint64_t{1} << (j & 63)); }
    // One way, from i to the nodes of a first word.
    void add(int i, uint64_t word) { bits_[static_cast<std::size_t>(i) * words_] |= word; }
    // Both ways.
    void join(int i, int j) { point(i, j), point(j, i); }
    void part(int i, int j) { unpoint(i, j), unpoint(j, i); }

    // Whether the first node reaches every other.
    bool connected() const;
    BitRows both_ways() const;

private:
    int nodes_, words_;
    std::vector<uint64_t> bits_;
};

}  // namespace wireloom
