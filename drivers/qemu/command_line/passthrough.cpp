// <qemu:commandline> and its kin: what a person adds by hand.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

void add_passthrough(Builder& builder) {
    const auto& extra = builder.domain.qemu_commandline;
    if (!extra) return;
    for (const auto& argument : extra->args) builder.option(argument.value);
    for (const auto& variable : extra->envs) builder.line.env.push_back(variable.name + "=" + variable.value);
}

void add_deprecation(Builder& builder) {
    const auto& deprecation = builder.domain.qemu_deprecation;
    if (!deprecation) return;
    const std::string& behavior = deprecation->behavior;
    Json json;
    if (behavior == "omit" || behavior == "reject" || behavior == "crash") json["deprecated-output"] = "hide";
    if (behavior == "reject" || behavior == "crash") json["deprecated-input"] = behavior;
    if (!json.empty()) builder.json("-compat", json);
}

} // namespace lodge::drivers::qemu
