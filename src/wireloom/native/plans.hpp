// A plan: the index lists of a pattern, packed into one array of 64-bit words.
//
//   words 0-7     mark, bytes of an index (2 or 4), receivers, senders, blocks, rows, columns, weights
//   int64         weight_first [receivers + 1]: where each receiver's weights begin
//   int32         row_start [receivers + 1], column_start [senders + 1]
//   int32         block_start [receivers + 1]: each receiver's blocks in `senders`
//   int32         back_start [senders + 1]: each sender's blocks in `receivers` and `places`
//   index         senders [blocks], by receiver; rising for each
//   index         receivers [blocks], by sender; rising for each
//   index         places [blocks], by sender: where in a row of the receiver the sender's columns lie
//
// The 32-bit lists together and the index lists together are filled up to whole words.
#pragma once

#include <cstdint>
#include <string>

namespace wireloom {

struct PlanLists {
    int64_t receivers, senders_, blocks, rows, columns, weights;
    bool wide;  // indices of 4 bytes
    const int64_t* weight_first;
    const int32_t *row_start, *column_start, *block_start, *back_start;
    const void *senders, *receivers_of, *places;
};

constexpr int64_t kPlanMark = 0x316e616c70776c77;  // "wlwplan1"

// Finds the lists in an array of words. Whether their sizes add up is checked, what they hold is
// not: `plan_fault` does that. False if this is no plan.
inline bool read_plan(const int64_t* words, int64_t length, PlanLists& plan) {
    constexpr int64_t kMost = int64_t{1} << 31;
    if (length < 8 || words[0] != kPlanMark || (words[1] != 2 && words[1] != 4)) return false;
    for (int i = 2; i < 7; ++i)
        if (words[i] < 0 || words[i] >= kMost) return false;
    plan.wide = words[1] == 4;
    plan.receivers = words[2], plan.senders_ = words[3], plan.blocks = words[4];
    plan.rows = words[5], plan.columns = words[6], plan.weights = words[7];
    const int64_t starts = 2 * (plan.receivers + 1) + 2 * (plan.senders_ + 1);
    const int64_t indices = 3 * plan.blocks * words[1];
    if (length != 8 + plan.receivers + 1 + (starts + 1) / 2 + (indices + 7) / 8) return false;
    plan.weight_first = words + 8;
    plan.row_start = reinterpret_cast<const int32_t*>(plan.weight_first + plan.receivers + 1);
    plan.column_start = plan.row_start + plan.receivers + 1;
    plan.block_start = plan.column_start + plan.senders_ + 1;
    plan.back_start = plan.block_start + plan.receivers + 1;
    const char* lists = reinterpret_cast<const char*>(plan.weight_first + plan.receivers + 1 + (starts + 1) / 2);
    plan.senders = lists;
    plan.receivers_of = lists + plan.blocks * words[1];
    plan.places = lists + 2 * plan.blocks * words[1];
    return true;
}

// One direction of a plan: groups of output rows, and the nodes whose inputs each reads.
class Side {
public:
    Side(const PlanLists& plan, bool back)
        : groups(back ? plan.senders_ : plan.receivers),
          top(back ? plan.column_start : plan.row_start),
          left(back ? plan.row_start : plan.column_start),
          first(back ? plan.back_start : plan.block_start),
          plan_(plan),
          back_(back),
          nodes_(back ? plan.receivers_of : plan.senders) {}

    int64_t groups;
    const int32_t* top;    // the first output row of each group, and the end
    const int32_t* left;   // the first input of each node, and the end
    const int32_t* first;  // the first block of each group, and the end

    int64_t rows(int64_t group) const { return top[group + 1] - top[group]; }
    // The node that a block joins its group to.
    int64_t node(int64_t block) const { return index(nodes_, block); }
    // How many inputs a group reads.
    int64_t count(int64_t group) const {
        if (!back_) return (plan_.weight_first[group + 1] - plan_.weight_first[group]) / rows(group);
        int64_t all = 0;
        for (int64_t b = first[group]; b < first[group + 1]; ++b) all += left[node(b) + 1] - left[node(b)];
        return all;
    }
    // The inputs of a group, counted from `low`.
    void list(int64_t group, int64_t low, int32_t* inputs) const {
        for (int64_t b = first[group]; b < first[group + 1]; ++b) {
            const int64_t from = left[node(b)], to = left[node(b) + 1];
            for (int64_t i = from; i < to; ++i) *inputs++ = static_cast<int32_t>(i - low);
        }
    }
    // Going back: of a block, where the weight of its node's first row lies, and how far apart the
    // rows are.
    int64_t weight(int64_t block) const {
        return plan_.weight_first[node(block)] + index(plan_.places, block);
    }
    int64_t step(int64_t block) const {
        const int64_t n = node(block);
        return (plan_.weight_first[n + 1] - plan_.weight_first[n]) / (left[n + 1] - left[n]);
    }

private:
    int64_t index(const void* list, int64_t at) const {
        return plan_.wide ? static_cast<int64_t>(static_cast<const uint32_t*>(list)[at])
                          : static_cast<const uint16_t*>(list)[at];
    }

    const PlanLists& plan_;
    bool back_;
    const void* nodes_;
};

// What is wrong with an array that is taken for a plan, or "": every index is looked at, so that a
// plan without fault leads no kernel outside the arrays whose sizes it names.
std::string plan_fault(const int64_t* words, int64_t length);

}  // namespace wireloom
