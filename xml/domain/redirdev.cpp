#include "xml/domain/check.hpp"

namespace lodge::xml {

namespace {

// Binary coded decimal: 13 -> 0x13. Numbers above 99 do not exist.
std::optional<std::uint32_t> to_bcd(std::string_view digits) {
    if (digits.empty() || digits.size() > 2) return std::nullopt;
    std::uint32_t bcd = 0;
    for (const char digit : digits) {
        if (digit < '0' || digit > '9') return std::nullopt;
        bcd = bcd << 4 | static_cast<std::uint32_t>(digit - '0');
    }
    return bcd;
}

} // namespace

bool Traits<UsbVersion>::parse(UsbVersion& v, std::string_view text) {
    const auto dot = text.find('.');
    const auto major = to_bcd(text.substr(0, dot));
    auto fraction = dot == std::string_view::npos ? std::string("00") : std::string(text.substr(dot + 1));
    if (fraction.size() == 1) fraction += '0'; // 1.1 is 1.10
    const auto minor = to_bcd(fraction);
    if (!major || !minor) return false;
    v.bcd = *major << 8 | *minor;
    return true;
}
void Traits<UsbVersion>::format(UsbVersion v, std::string& out) { out += fmt::format("{:x}.{:02x}", v.bcd >> 8, v.bcd & 0xff); }
void Traits<UsbVersion>::random(UsbVersion& v, Random& r) { v.bcd = static_cast<std::uint32_t>(r() % 9 << 8 | r() % 9); }

namespace {

// "-1" means any, as an absent attribute does.
template<class T> void describe_id(Doc& doc, const char* name, std::optional<T>& value) {
    if (!doc.reading()) return doc.attribute(name, value, Mark::guest);
    std::string text;
    doc.attribute(name, text);
    if (text.empty() || text == "-1") return;
    if (std::string_view(name) == "version" && !parse_scalar(value.emplace(), text, Mark::none))
        doc.refuse(Code::xml_error, "Cannot parse USB device version " + text);
    if (!parse_scalar(value.emplace(), text, Mark::any_base))
        rpc::fail(From::xml, Code::xml_error,
                  "Invalid value for attribute '{}' in element 'usbdev': '{}'. Expected integer value", name, text);
}

} // namespace

static constexpr std::string_view redirdev_order[] = {"@bus", "@type", "source", "log", "protocol"};

void describe(Doc& doc, Redirdev& redirdev) {
    doc.read_in_order(redirdev_order);
    doc.attribute("bus", redirdev.bus, Mark::guest);
    describe_char_type(doc, redirdev.source, Mark::guest);
    describe_char_source(doc, redirdev.source);
    describe_info(doc, redirdev.info, InfoParts::boot);
    check_ends(doc, redirdev.source);
    doc.check("", [&] {
        if (redirdev.info.address && !redirdev.info.is(AddressType::usb)) broken("Invalid address for a USB device");
    });
}

void describe(Doc& doc, RedirRule& rule) {
    describe_id(doc, "class", rule.usb_class);
    describe_id(doc, "vendor", rule.vendor);
    describe_id(doc, "product", rule.product);
    describe_id(doc, "version", rule.version);
    doc.required("allow", rule.allow, Mark::guest);
}

void describe(Doc& doc, RedirFilter& filter) { doc.list("usbdev", filter.rules, Mark::guest); }

} // namespace lodge::xml
