#include "xml/domain/abi_values.hpp"
#include "xml/domain/controller.hpp"
#include "xml/domain/nic_models.hpp"
#include <algorithm>

namespace lodge::xml {

namespace {

std::uint64_t number_at(const GuestView& view, const std::string& path, std::uint64_t absent = 0) {
    std::uint64_t number = absent;
    parse_unsigned(value_at(view, path), number, Mark::any_base);
    return number;
}

bool stands_on(const GuestView& view, const std::string& address, std::string_view type) {
    return value_at(view, address + "/@type") == type;
}

// "0:0:1", of the address's numbers.
std::string numbers(const GuestView& view, const std::string& path, std::initializer_list<const char*> names) {
    std::string text;
    for (const auto* name : names)
        text += fmt::format("{}{}", text.empty() ? "" : ":", number_at(view, fmt::format("{}/@{}", path, name)));
    return text;
}

bool begins(const std::string& path, const std::string& whole) {
    return path.starts_with(whole) && (path.size() == whole.size() || path[whole.size()] == '/');
}

std::string with_state(const GuestView& view, const std::string& path, std::initializer_list<std::array<const char*, 2>> more) {
    std::string text = switch_state(view, path);
    for (const auto& [name, absent] : more)
        text += fmt::format(",{}={}", name, value_at(view, fmt::format("{}/@{}", path, name), absent));
    return text;
}

} // namespace

std::string value_at(const GuestView& view, const std::string& path, const char* absent) {
    const auto found = view.find(path);
    return found == view.end() ? absent : found->second;
}

std::size_t count_at(const GuestView& view, const std::string& list) {
    std::size_t count = 0;
    while (view.contains(fmt::format("{}[{}]", list, count + 1))) ++count;
    return count;
}

// ---- addresses ----

std::string pci_place(const GuestView& view, const std::string& path) {
    if (!stands_on(view, path, "pci")) return {};
    return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", number_at(view, path + "/@domain"), number_at(view, path + "/@bus"),
                       number_at(view, path + "/@slot"), number_at(view, path + "/@function"));
}
std::string drive_place(const GuestView& view, const std::string& path) {
    return stands_on(view, path, "drive") ? numbers(view, path, {"controller", "bus", "unit"}) : "";
}
std::string serial_place(const GuestView& view, const std::string& path) {
    return stands_on(view, path, "virtio-serial") ? numbers(view, path, {"controller", "bus", "port"}) : "";
}
std::string ccid_place(const GuestView& view, const std::string& path) {
    return stands_on(view, path, "ccid") ? numbers(view, path, {"controller", "slot"}) : "";
}
std::string isa_place(const GuestView& view, const std::string& path) {
    return stands_on(view, path, "isa") ? numbers(view, path, {"iobase", "irq"}) : "";
}
std::string dimm_slot(const GuestView& view, const std::string& path) {
    return stands_on(view, path, "dimm") ? numbers(view, path, {"slot"}) : "";
}
std::string dimm_base(const GuestView& view, const std::string& path) {
    return stands_on(view, path, "dimm") ? fmt::format("{:x}", number_at(view, path + "/@base")) : "";
}

// ---- whether, and in which state ----

std::string is_there(const GuestView& view, const std::string& path) {
    const auto found = view.lower_bound(path);
    return found != view.end() && begins(found->first, path) ? "yes" : "no";
}
std::string presence(const GuestView& view, const std::string& path) { return is_there(view, path) == "yes" ? "1" : "0"; }
std::string is_specified(const GuestView& view, const std::string& path) {
    return is_there(view, path) == "yes" ? "specified" : "not specified";
}

std::string switch_state(const GuestView& view, const std::string& path) {
    if (!view.contains(path)) return "default";
    return value_at(view, path + "/@state", "on");
}
std::string apic_state(const GuestView& view, const std::string& path) { return with_state(view, path, {{"eoi", "default"}}); }
std::string gic_state(const GuestView& view, const std::string& path) { return with_state(view, path, {{"version", "none"}}); }
std::string hpt_state(const GuestView& view, const std::string& path) {
    return fmt::format("{},maxpagesize={}", with_state(view, path, {{"resizing", "none"}}),
                       value_at(view, path + "/maxpagesize/text()", "0"));
}
// libvirt counts the modes, and names the numbers as those of a switch.
std::string hyperv_state(const GuestView& view, const std::string& path) {
    if (!view.contains(path)) return "default";
    return value_at(view, path + "/@mode") == "passthrough" ? "off" : "on";
}

std::string amount(const GuestView& view, const std::string& path) {
    return fmt::format("{} {}", value_at(view, path + "/text()"), value_at(view, path + "/@unit"));
}

// ---- other words ----

std::string initial_memory(const GuestView& view, const std::string& path) {
    auto kib = number_at(view, path);
    const std::string plugged = fmt::format("{}/devices/memory", path.substr(0, path.find('/')));
    for (std::size_t i = 0; i < count_at(view, plugged); ++i)
        kib -= number_at(view, fmt::format("{}[{}]/target/size/text()", plugged, i + 1));
    return std::to_string(kib);
}

std::string most_vcpus(const GuestView& view, const std::string& path) { return value_at(view, path + "/text()", "1"); }

std::string entry(const GuestView& view, const std::string& path) {
    const auto slash = path.rfind('/');
    const std::string list = path.substr(0, slash) + "/entry";
    for (std::size_t i = 1; is_there(view, fmt::format("{}[{}]", list, i)) == "yes"; ++i)
        if (value_at(view, fmt::format("{}[{}]/@name", list, i)) == path.substr(slash + 1))
            return value_at(view, fmt::format("{}[{}]/text()", list, i));
    return "<null>";
}

std::string controller_model(const GuestView& view, const std::string& path) {
    ControllerType type{};
    ControllerModel model{};
    if (!view.contains(path) || !Traits<ControllerModel>::parse(model, value_at(view, path)) ||
        !Traits<ControllerType>::parse(type, value_at(view, path.substr(0, path.rfind('/')) + "/@type")))
        return "-1";
    const auto known = controller_models(type);
    return std::to_string(std::ranges::find(known, model) - known.begin());
}

static bool is_known(const std::string& nic_model) {
    return nic_model.empty() || std::ranges::find(known_nic_models(), nic_model) != known_nic_models().end();
}
std::string known_nic_model(const GuestView& view, const std::string& path) {
    const std::string model = value_at(view, path);
    return model.empty() || !is_known(model) ? "unknown" : model;
}
std::string unknown_nic_model(const GuestView& view, const std::string& path) {
    const std::string model = value_at(view, path);
    return is_known(model) ? "<null>" : model;
}

// libvirt names the model's number as if it were a bus.
std::string input_model(const GuestView& view, const std::string& path) {
    const std::string model = value_at(view, path);
    if (model == "virtio") return "usb";
    if (model == "virtio-transitional") return "xen";
    return model == "virtio-non-transitional" ? "parallels" : "ps2";
}

std::string yes_no_number(const GuestView& view, const std::string& path) {
    if (!view.contains(path)) return "0";
    return value_at(view, path) == "yes" ? "1" : "2";
}

std::string forwarded(const GuestView& view, const std::string& path) {
    if (!stands_on(view, path, "guestfwd")) return {};
    return fmt::format("{}:{}", value_at(view, path + "/@address"), value_at(view, path + "/@port"));
}

std::string mebibytes(const GuestView& view, const std::string& path) { return std::to_string(number_at(view, path) << 20); }

std::string msi(const GuestView& view, const std::string& path) {
    return fmt::format("{} {} {}", is_there(view, path), number_at(view, path + "/@vectors"),
                       value_at(view, path + "/@ioeventfd", "default"));
}

std::string pcr_banks(const GuestView& view, const std::string& path) {
    std::string banks;
    for (auto at = view.lower_bound(path); at != view.end() && begins(at->first, path); ++at) banks += at->first;
    return banks;
}

// ---- more than one fact against another ----

void check_distances(const GuestView& before, const GuestView& now) {
    const std::string cells = "domain/cpu/numa/cell";
    const auto count = count_at(before, cells);
    const auto distances = [&](const GuestView& view, std::size_t from) {
        std::vector<std::uint64_t> found(count, 20);
        found[from] = 10;
        const std::string siblings = fmt::format("{}[{}]/distances/sibling", cells, from + 1);
        for (std::size_t i = 1; is_there(view, fmt::format("{}[{}]", siblings, i)) == "yes"; ++i)
            if (const auto to = number_at(view, fmt::format("{}[{}]/@id", siblings, i)); to < count)
                found[to] = number_at(view, fmt::format("{}[{}]/@value", siblings, i));
        return found;
    };
    for (std::size_t from = 0; from < count; ++from) {
        const auto old = distances(before, from), changed = distances(now, from);
        const auto at = std::ranges::mismatch(old, changed).in1 - old.begin();
        if (static_cast<std::size_t>(at) < count)
            rpc::fail(From::domain, Code::config_unsupported, "Target NUMA distance from {} to {} doesn't match source", from,
                      at);
    }
}

namespace {

struct VcpuState {
    bool online;
    std::string order;
};

std::vector<VcpuState> vcpu_states(const GuestView& view) {
    const auto most = number_at(view, "domain/vcpu/text()", 1), online = number_at(view, "domain/vcpu/@current", most);
    std::vector<VcpuState> states(most);
    for (std::size_t i = 0; i < most; ++i) states[i].online = i < online;
    for (std::size_t i = 1; is_there(view, fmt::format("domain/vcpus/vcpu[{}]", i)) == "yes"; ++i) {
        const std::string path = fmt::format("domain/vcpus/vcpu[{}]", i);
        const auto id = number_at(view, path + "/@id");
        if (id < most) states[id] = {value_at(view, path + "/@enabled") == "yes", value_at(view, path + "/@order", "0")};
    }
    for (auto& state : states)
        if (state.order.empty()) state.order = "0";
    return states;
}

} // namespace

void check_vcpus(const GuestView& before, const GuestView& now) {
    const auto old = vcpu_states(before), changed = vcpu_states(now);
    for (std::size_t i = 0; i < std::min(old.size(), changed.size()); ++i) {
        if (old[i].online != changed[i].online)
            rpc::fail(From::domain, Code::config_unsupported,
                      "State of vCPU '{}' differs between source and destination definitions", i);
        if (old[i].order != changed[i].order)
            rpc::fail(From::domain, Code::config_unsupported,
                      "vcpu enable order of vCPU '{}' differs between source and destination definitions", i);
    }
}

} // namespace lodge::xml
