#include "cli/device_facts.hpp"

#include <charconv>
#include <span>
#include <sys/stat.h>

namespace lodge::cli {

bool is_block_device(const std::string& path) {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 && S_ISBLK(info.st_mode);
}

void put(pugi::xml_node node, const char* name, const std::optional<std::string>& value) {
    if (value && !value->empty()) node.append_attribute(name) = value->c_str();
}

namespace {

struct Part {
    const char* name;
    const char* format;
};
struct AddressKind {
    std::string_view word;
    const char* type;
    int base;
    std::vector<Part> parts;
};

const std::vector<AddressKind>& address_kinds() {
    static const std::vector<Part> drive = {{"controller", "{}"}, {"bus", "{}"}, {"unit", "{}"}};
    static const std::vector<AddressKind> kinds = {
        {"pci", "pci", 16, {{"domain", "0x{:04x}"}, {"bus", "0x{:02x}"}, {"slot", "0x{:02x}"}, {"function", "0x{:x}"}}},
        {"scsi", "drive", 10, drive},
        {"ide", "drive", 10, drive},
        {"sata", "drive", 10, drive},
        {"ccw", "ccw", 16, {{"cssid", "0x{:02x}"}, {"ssid", "0x{:x}"}, {"devno", "0x{:04x}"}}},
        {"usb", "usb", 10, {{"bus", "{}"}, {"port", "{}"}}},
    };
    return kinds;
}

} // namespace

std::string_view address_kind(const std::string& text) { return std::string_view(text).substr(0, text.find(':')); }

bool put_address(pugi::xml_node device, const std::string& text, bool multifunction) {
    const auto word = address_kind(text);
    const auto& kinds = address_kinds();
    const auto kind = std::ranges::find(kinds, word, &AddressKind::word);
    if (kind == kinds.end() || word.size() == text.size()) return false;
    auto address = device.append_child("address");
    address.append_attribute("type") = kind->type;
    const char* at = text.data() + word.size();
    for (const auto& part : kind->parts) {
        // whatever stands between two numbers, a dot or a colon
        const char* const end = text.data() + text.size();
        if (at == end) return false;
        unsigned long long number = 0;
        const auto [next, error] = std::from_chars(at + 1, end, number, kind->base);
        if (error != std::errc()) return false;
        at = next;
        address.append_attribute(part.name) = fmt::format(fmt::runtime(part.format), number).c_str();
    }
    if (multifunction && word == "pci") address.append_attribute("multifunction") = "on";
    return true;
}

Rate read_rate(const std::string& text) {
    Rate rate;
    unsigned long long* const fields[] = {&rate.average, &rate.peak, &rate.burst, &rate.floor};
    static constexpr std::string_view names[] = {"average", "peak", "burst", "floor"};
    std::size_t at = 0, field = 0;
    for (;; ++field) {
        if (field == std::size(fields)) fail("Rate string '{}' has too many fields", text);
        const auto comma = std::min(text.find(',', at), text.size());
        const auto word = std::string_view(text).substr(at, comma - at);
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), *fields[field]);
        if (!word.empty() && (error != std::errc() || end != word.data() + word.size()))
            fail("field '{}' is malformed", names[field]);
        if (comma == text.size()) return rate;
        at = comma + 1;
    }
}

} // namespace lodge::cli
