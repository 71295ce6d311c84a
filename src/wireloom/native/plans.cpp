#include "plans.hpp"

namespace wireloom {
namespace {

// Whether starts rise from 0 to the end.
template <class T>
bool rises(const T* starts, int64_t parts, int64_t end, bool strictly) {
    if (starts[0] != 0 || starts[parts] != end) return false;
    for (int64_t i = 0; i < parts; ++i)
        if (starts[i + 1] < starts[i] + strictly) return false;
    return true;
}

template <class Index>
std::string lists_fault(const PlanLists& p) {
    const Index* senders = static_cast<const Index*>(p.senders);
    const Index* receivers = static_cast<const Index*>(p.receivers_of);
    const Index* places = static_cast<const Index*>(p.places);
    for (int64_t r = 0; r < p.receivers; ++r) {
        int64_t read = 0;
        for (int64_t b = p.block_start[r]; b < p.block_start[r + 1]; ++b) {
            if (senders[b] >= p.senders_) return "a sender that does not exist";
            if (b > p.block_start[r] && senders[b] <= senders[b - 1]) return "senders out of order";
            read += p.column_start[senders[b] + 1] - p.column_start[senders[b]];
        }
        const int64_t rows = p.row_start[r + 1] - p.row_start[r];
        if (p.weight_first[r + 1] - p.weight_first[r] != rows * read) return "weights that do not add up";
    }
    for (int64_t s = 0; s < p.senders_; ++s) {
        const int64_t width = p.column_start[s + 1] - p.column_start[s];
        for (int64_t b = p.back_start[s]; b < p.back_start[s + 1]; ++b) {
            if (receivers[b] >= p.receivers) return "a receiver that does not exist";
            const int64_t r = receivers[b], rows = p.row_start[r + 1] - p.row_start[r];
            const int64_t read = (p.weight_first[r + 1] - p.weight_first[r]) / rows;
            if (places[b] + width > read) return "a place outside of its row";
        }
    }
    return "";
}

}  // namespace

std::string plan_fault(const int64_t* words, int64_t length) {
    PlanLists p;
    if (!read_plan(words, length, p)) return "no plan at all";
    if (!rises(p.row_start, p.receivers, p.rows, true) || !rises(p.column_start, p.senders_, p.columns, true) ||
        !rises(p.block_start, p.receivers, p.blocks, false) || !rises(p.back_start, p.senders_, p.blocks, false) ||
        !rises(p.weight_first, p.receivers, p.weights, false))
        return "starts that do not rise to their end";
    return p.wide ? lists_fault<uint32_t>(p) : lists_fault<uint16_t>(p);
}

}  // namespace wireloom
