// What the qemu namespace adds to a domain: words for QEMU's command line and corrections of what was probed.
#pragma once
#include "xml/describe.hpp"

namespace lodge::xml {

struct QemuArg {
    std::string value;
};
struct QemuEnv {
    std::string name, value;
};
struct QemuCommandline {
    std::vector<QemuArg> args;
    std::vector<QemuEnv> envs;
};
void describe(Doc&, QemuCommandline&);

struct QemuCapability {
    std::string capability;
};
struct QemuCapabilities {
    std::vector<QemuCapability> add, del;
};
void describe(Doc&, QemuCapabilities&);

enum class QemuPropertyType { string, unsigned_, signed_, bool_, remove };
inline std::span<const std::string_view> enum_words(QemuPropertyType) {
    static constexpr std::string_view w[] = {"string", "unsigned", "signed", "bool", "remove"};
    return w;
}
struct QemuProperty {
    std::string name;
    QemuPropertyType type = QemuPropertyType::string;
    std::string value;
};
struct QemuDeviceOverride {
    std::string alias;
    std::vector<QemuProperty> properties;
};
struct QemuOverride {
    std::vector<QemuDeviceOverride> devices;
};
void describe(Doc&, QemuOverride&);

struct QemuDeprecation {
    std::string behavior; // omit, reject, crash
};
void describe(Doc&, QemuDeprecation&);

} // namespace lodge::xml
