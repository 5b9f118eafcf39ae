// How libvirt says that a fact which the guest sees (Mark::guest) is another one, in the order in which it looks. abi.cpp goes
// through the rows; a test proves that every marked fact has one.
#pragma once
#include "xml/describe.hpp"

namespace lodge::xml {

struct AbiWords {
    // Of the fact, from what stands around the rows: "target/@bus". "disk[]" is how many there are; rows of "disk[]/…" that stand
    // together are asked of one disk after the other.
    const char* path;
    const char* text;        // {0} the value now, {1} the one before, {2} the path's last name, {3} the place in the list
    const char* absent = ""; // the value where there is none
    std::string (*shown)(const GuestView& view,
                         const std::string& path) = nullptr; // makes the value of several facts, or other words
    const char* told = nullptr;                              // names the values of this fact instead
    From from = From::domain;
    std::span<const AbiWords> parts = {};                                   // without a text: the rows of what stands at `path`
    void (*check)(const GuestView& before, const GuestView& now) = nullptr; // without a text: refuses by itself
};

std::span<const AbiWords> abi_words();

// The value at a path, or what stands for none.
std::string value_at(const GuestView& view, const std::string& path, const char* absent = "");
std::size_t count_at(const GuestView& view, const std::string& list);

} // namespace lodge::xml
