#include "daemon/params.hpp"
#include <algorithm>

namespace lodge::daemon {

using rpc::Code;
using rpc::fail;

static const char* type_word(std::size_t type) {
    static constexpr const char* words[] = {"unknown", "int", "uint", "llong", "ullong", "double", "boolean", "string"};
    return words[type < std::size(words) ? type : 0];
}

void check_params(const Params& params, std::span<const ParamRule> rules) {
    for (auto one = params.begin(); one != params.end(); ++one) {
        const auto rule = std::ranges::find(rules, one->field, [](const ParamRule& r) { return std::string(r.name); });
        if (rule == rules.end()) fail(rpc::from_nobody, Code::argument_unsupported, "parameter '{}' not supported", one->field);
        const std::size_t type = one->value.index() + 1, wanted = static_cast<std::size_t>(rule->type);
        if (type != wanted)
            fail(rpc::from_nobody, Code::invalid_arg, "invalid type '{}' for parameter '{}', expected '{}'", type_word(type),
                 one->field, type_word(wanted));
        if (!rule->repeats && std::any_of(params.begin(), one, [&](const auto& earlier) { return earlier.field == one->field; }))
            fail(rpc::from_nobody, Code::invalid_arg, "parameter '{}' occurs multiple times", one->field);
    }
}

void cut_params(Params& params, int wanted, std::int32_t& total) {
    if (wanted == 0) {
        total = static_cast<std::int32_t>(params.size());
        params.clear();
        return;
    }
    if (static_cast<int>(params.size()) > wanted) params.resize(static_cast<std::size_t>(wanted));
    total = static_cast<std::int32_t>(params.size());
}

} // namespace lodge::daemon
