// USB devices of whoever looks at the screen.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

template<unsigned digits> std::string hex(const std::optional<UpperHex<digits>>& value) {
    return value ? fmt::format("0x{:0{}X}", value->value, digits) : "-1";
}

std::string filter_words(const RedirFilter& filter) {
    std::string words;
    for (const auto& rule : filter.rules) {
        if (!words.empty()) words += '|';
        words += fmt::format("{}:{}:{}:{}:{}", hex(rule.usb_class), hex(rule.vendor), hex(rule.product),
                             rule.version ? fmt::format("0x{:04X}", rule.version->bcd) : "-1", rule.allow ? 1 : 0);
    }
    return words;
}

} // namespace

Json device_json(const Domain& domain, const Redirdev& redirdev, const BuildContext&) {
    Json json{{"driver", "usb-redir"}, {"chardev", "char" + redirdev.info.alias}, {"id", redirdev.info.alias}};
    if (domain.devices.redirfilter) put(json, "filter", filter_words(*domain.devices.redirfilter));
    put_boot(json, domain, redirdev.info);
    put_address(json, domain, redirdev.info);
    return json;
}

void add_redirdevs(Builder& builder) {
    for (const auto& redirdev : builder.domain.devices.redirdevs) {
        add_chardev(builder, redirdev.source, redirdev.info.alias, "redir");
        builder.device(device_json(builder.domain, redirdev, builder.ctx));
    }
}

} // namespace lodge::drivers::qemu
