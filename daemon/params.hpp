// Typed parameters of calls that tune: which names there are, of which type, and their values.
#pragma once
#include "rpc/codec.hpp"
#include "rpc/error.hpp"
#include <initializer_list>
#include <span>

namespace lodge::daemon {

using Params = std::vector<rpc::TypedParam>;

enum class ParamType { int_ = 1, uint = 2, llong = 3, ullong = 4, double_ = 5, boolean = 6, string = 7 };
struct ParamRule {
    const char* name;
    ParamType type;
    bool repeats = false;
};
// Refuses unknown names, wrong types and repetitions, in libvirt's words.
void check_params(const Params& params, std::span<const ParamRule> rules);
inline void check_params(const Params& params, std::initializer_list<ParamRule> rules) {
    check_params(params, std::span(rules.begin(), rules.size()));
}

template<class T> std::optional<T> param(const Params& params, std::string_view name) {
    for (const auto& one : params)
        if (one.field == name)
            if (const auto* value = std::get_if<T>(&one.value)) return *value;
    return std::nullopt;
}
// How many a question that asks for `wanted` of them gets; 0 asks how many there are.
void cut_params(Params& params, int wanted, std::int32_t& total);

} // namespace lodge::daemon
