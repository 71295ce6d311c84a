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

// What is wrong with an array that is taken for a plan, or "": every index is looked at, so that a
// plan without fault leads no kernel outside the arrays whose sizes it names.
std::string plan_fault(const int64_t* words, int64_t length);

}  // namespace wireloom
