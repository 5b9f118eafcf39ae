#include "drivers/qemu/complete/machine_kind.hpp"
#include "drivers/qemu/complete/steps.hpp"
#include <algorithm>
#include <set>
#include <utility>

namespace lodge::drivers::qemu {

using xml::CharEndpoint;
using xml::CharMode;
using xml::CharSource;
using xml::CharType;
using xml::Console;
using xml::ConsoleTargetType;
using xml::Serial;
using xml::SerialModel;
using xml::SerialTargetType;

namespace {

bool has_socket(CharType type) { return type == CharType::unix_ || type == CharType::tcp || type == CharType::udp; }

bool says_nothing(const CharEndpoint& end) {
    return end.path.empty() && end.host.empty() && end.service.empty() && end.channel.empty() && end.master.empty() &&
           !end.clipboard && !end.mouse;
}

// libvirt wrote the sockets that it makes up for channels into definitions once: …/channel/target/GUEST.NAME or
// …/channel/target/domain-GUEST/NAME. They are made anew at each start.
bool is_made_up(std::string_view path, std::string_view name) {
    if (name.empty() || !path.ends_with(name)) return false;
    path.remove_suffix(name.size());
    constexpr std::string_view folder = "/channel/", target = "target/", own = "domain-";
    const auto place = path.find(folder);
    if (place == std::string_view::npos) return false;
    path.remove_prefix(place + folder.size());
    if (path.starts_with(target)) path.remove_prefix(target.size());
    if (path.empty()) return false;
    const auto inner = path.substr(0, path.size() - 1);
    if (path.ends_with('/')) return path.starts_with(own) && inner.find('/') == std::string_view::npos;
    return path.ends_with('.') && inner.find('/') == std::string_view::npos;
}

void forget_made_up(xml::Channel& channel) {
    if (channel.source.type != CharType::unix_) return;
    for (auto& end : channel.source.sources) {
        if (!is_made_up(end.path, channel.target.name)) continue;
        end.path.clear();
        end.mode = CharMode::bind;
        if (end.reconnect && end.reconnect->enabled)
            rpc::fail(rpc::From::domain, rpc::Code::internal_error, "chardev reconnect is possible only for connect mode");
    }
}

} // namespace

// A label that says nothing is none; what says nothing of relabelling wants it.
static void complete_labels(std::vector<xml::SourceLabel>& labels) {
    for (auto& label : labels) {
        label.labelskip.reset();
        if (!label.relabel) label.relabel = true;
    }
    std::erase_if(labels, [](const xml::SourceLabel& label) { return label.label.empty() && *label.relabel; });
}

void complete_char_source(CharSource& source) {
    for (auto& end : source.sources) {
        if (has_socket(source.type) && !end.mode) end.mode = CharMode::connect;
        complete_labels(end.labels);
    }
    std::erase_if(source.sources, says_nothing);
    if (source.sources.size() == 2 && source.sources.front().mode == source.sources.back().mode) source.sources.pop_back();
    if (source.sources.size() == 2 && source.sources.back().mode == CharMode::bind) // the listening end is written first
        std::swap(source.sources.front(), source.sources.back());
    if (source.type == CharType::tcp && !source.protocol) source.protocol = xml::CharProtocol::raw;
    if (source.type != CharType::tcp) source.protocol.reset();
}

namespace {

struct SerialRow {
    SerialTargetType type;
    SerialModel model;
};
constexpr SerialRow serial_models[] = {
    {SerialTargetType::isa_serial, SerialModel::isa_serial},
    {SerialTargetType::pci_serial, SerialModel::pci_serial},
    {SerialTargetType::usb_serial, SerialModel::usb_serial},
    {SerialTargetType::isa_debug, SerialModel::isa_debugcon},
};

SerialTargetType type_of_address(const xml::DeviceInfo& info) {
    if (info.is(xml::AddressType::usb)) return SerialTargetType::usb_serial;
    if (info.is(xml::AddressType::pci)) return SerialTargetType::pci_serial;
    return SerialTargetType::isa_serial;
}

// Ports without a number get the ones after the highest so far.
template<class Devices> void number_ports(Devices& devices) {
    for (auto& device : devices) {
        if (device.target.port) continue;
        unsigned next = 0;
        for (const auto& other : devices)
            if (other.target.port) next = std::max(next, *other.target.port + 1);
        device.target.port = next;
    }
}

// As many as a PC's firmware knows.
void check_isa_serials(const std::vector<Serial>& serials) {
    static constexpr unsigned max_ports = 4;
    std::set<unsigned> ports;
    unsigned count = 0;
    for (const auto& serial : serials) {
        if (serial.target.type != SerialTargetType::isa_serial) continue;
        const auto port = serial.target.port;
        if (++count > max_ports || port.value_or(0) >= max_ports)
            rpc::fail(rpc::From::domain, rpc::Code::internal_error, "Maximum supported number of ISA serial ports is '{}'",
                      max_ports);
        if (port && !ports.insert(*port).second)
            rpc::fail(rpc::From::domain, rpc::Code::internal_error, "target port '{}' already allocated", *port);
    }
}

void complete_serial(Serial& serial) {
    auto& target = serial.target;
    if (!target.type || target.type == SerialTargetType::none) target.type = type_of_address(serial.info);
    if (target.model && target.model != SerialModel::none) return;
    for (const auto& row : serial_models)
        if (row.type == target.type) target.model = row.model;
}

} // namespace

void complete_chardevs(xml::Domain& domain) {
    auto& devices = domain.devices;
    check_isa_serials(devices.serials); // those that say what they are; libvirt does not look at the others
    for (auto& serial : devices.serials) {
        complete_char_source(serial.source);
        complete_serial(serial);
    }
    for (auto& parallel : devices.parallels) complete_char_source(parallel.source);
    for (auto& console : devices.consoles) {
        complete_char_source(console.source);
        if (!console.target.type) console.target.type = ConsoleTargetType::serial;
    }
    for (auto& channel : devices.channels) {
        forget_made_up(channel);
        complete_char_source(channel.source);
    }
    for (auto& redirdev : devices.redirdevs) complete_char_source(redirdev.source);
    for (auto& smartcard : devices.smartcards) complete_char_source(smartcard.source);
    for (auto& rng : devices.rngs) complete_char_source(rng.source);
    number_ports(devices.serials);
    number_ports(devices.parallels);
    for (unsigned place = 0; auto& console : devices.consoles) console.target.port = place++;
}

namespace {

Console console_of(const Serial& serial) {
    Console console;
    console.source = serial.source;
    console.info = serial.info;
    console.target.type = ConsoleTargetType::serial;
    console.target.port = serial.target.port;
    return console;
}

Serial serial_of(const Console& console) {
    Serial serial;
    serial.source = console.source;
    serial.info = console.info;
    serial.target.port = 0;
    complete_serial(serial);
    return serial;
}

} // namespace

void add_console_twin(xml::Domain& domain) {
    auto& serials = domain.devices.serials;
    auto& consoles = domain.devices.consoles;
    const bool first_is_serial = !consoles.empty() && consoles.front().target.type == ConsoleTargetType::serial;
    if (first_is_serial && serials.empty()) serials.push_back(serial_of(consoles.front()));
    if (serials.empty()) return;
    if (first_is_serial)
        consoles.front() = console_of(serials.front());
    else if (serials.front().target.type == SerialTargetType::isa_serial)
        consoles.insert(consoles.begin(), console_of(serials.front()));
}

void refresh_console_twin(xml::Domain& domain) {
    auto& devices = domain.devices;
    if (devices.serials.empty() || devices.consoles.empty()) return;
    auto& first = devices.consoles.front();
    if (first.target.type == ConsoleTargetType::serial) first = console_of(devices.serials.front());
}

} // namespace lodge::drivers::qemu
