#include "xml/domain/qemu_parts.hpp"

namespace lodge::xml {

static void describe(Doc& doc, QemuArg& a) { doc.required("value", a.value); }
static void check_variable(const std::string& name) {
    const auto is_word = [](unsigned char c) { return std::isalnum(c) || c == '_'; };
    const auto refuse = [](std::string_view text) { rpc::fail(From::qemu, Code::internal_error, "{}", text); };
    if (name.empty() || !is_word(name[0]) || std::isdigit(static_cast<unsigned char>(name[0])))
        refuse("Invalid environment name, it must begin with a letter or underscore");
    if (!std::ranges::all_of(name, is_word))
        refuse("Invalid environment name, it must contain only alphanumerics and underscore");
}
static void describe(Doc& doc, QemuEnv& e) {
    doc.required("name", e.name);
    doc.attribute("value", e.value);
    doc.check("@name", [&] { check_variable(e.name); });
}
void describe(Doc& doc, QemuCommandline& c) {
    doc.list("qemu:arg", c.args);
    doc.list("qemu:env", c.envs);
}

static void describe(Doc& doc, QemuCapability& c) { doc.required("capability", c.capability); }
void describe(Doc& doc, QemuCapabilities& c) {
    doc.list("qemu:add", c.add);
    doc.list("qemu:del", c.del);
}

static void check_value(const QemuProperty& p) {
    const auto refuse = [](const std::string& text) { rpc::fail(From::qemu, Code::xml_error, "{}", text); };
    if (p.name == "id") refuse("property with name 'id' can't be overridden");
    if (p.type == QemuPropertyType::remove && !p.value.empty())
        refuse("setting 'value' attribute of 'qemu:property' doesn't make sense with 'remove' type");
    std::uint64_t number = 0;
    std::int64_t negative = 0;
    const bool is_right = p.type == QemuPropertyType::unsigned_ ? parse_unsigned(p.value, number)
                          : p.type == QemuPropertyType::signed_ ? parse_signed(p.value, negative)
                          : p.type == QemuPropertyType::bool_   ? p.value == "true" || p.value == "false"
                                                                : true;
    if (!is_right) refuse(fmt::format("invalid value '{}' of 'value' attribute of 'qemu:property'", p.value));
}
static void describe(Doc& doc, QemuProperty& p) {
    doc.required("name", p.name);
    doc.required("type", p.type);
    if (doc.when(p.type != QemuPropertyType::remove)) doc.required("value", p.value);
    if (doc.when(p.type == QemuPropertyType::remove)) doc.attribute("value", p.value);
    doc.check("@value", [&] { check_value(p); });
}
static void describe(Doc& doc, QemuDeviceOverride& d) {
    doc.required("alias", d.alias);
    doc.group("qemu:frontend", [&] { doc.list("qemu:property", d.properties); });
}
void describe(Doc& doc, QemuOverride& o) { doc.list("qemu:device", o.devices); }
void describe(Doc& doc, QemuDeprecation& d) { doc.attribute("behavior", d.behavior); }

} // namespace lodge::xml
