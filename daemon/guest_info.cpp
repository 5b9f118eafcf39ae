#include "daemon/guest_info.hpp"
#include "rpc/error.hpp"
#include <nlohmann/json.hpp>

namespace lodge::daemon::guest_info {

using nlohmann::json;
namespace remote = rpc::remote;

namespace {

// A guest can say anything: what is missing or of another type is refused, never believed.
const json& array_of(const json& value, const char* what) {
    if (!value.is_array()) rpc::fail(rpc::Code::internal_error, "the guest agent's answer about {} is no list", what);
    for (const auto& item : value)
        if (!item.is_object())
            rpc::fail(rpc::Code::internal_error, "the guest agent's list of {} has an entry without fields", what);
    return value;
}

std::optional<std::string> text(const json& object, const char* key) {
    const auto at = object.is_object() ? object.find(key) : object.end();
    if (at == object.end() || !at->is_string()) return std::nullopt;
    return at->get<std::string>();
}

std::string required_text(const json& object, const char* key, const char* command) {
    const auto value = text(object, key);
    if (!value) rpc::fail(rpc::Code::internal_error, "'{}' missing in reply of {}", key, command);
    return *value;
}

std::optional<double> number(const json& object, const char* key) {
    const auto at = object.is_object() ? object.find(key) : object.end();
    if (at == object.end() || !at->is_number()) return std::nullopt;
    return at->get<double>();
}

std::uint64_t whole(const json& object, const char* key) {
    const auto at = object.is_object() ? object.find(key) : object.end();
    return at != object.end() && at->is_number_integer() ? at->get<std::uint64_t>() : 0;
}

void put(Params& out, std::string name, rpc::TypedParam::Value value) { out.push_back({std::move(name), std::move(value)}); }
void put_count(Params& out, const std::string& name, std::size_t count) { put(out, name, static_cast<std::uint32_t>(count)); }
void put_text(Params& out, std::string name, const std::optional<std::string>& value) {
    if (value) put(out, std::move(name), *value);
}

// ---- which disk of the document is meant ----

// By the address of the disk itself, or of its controller and its place there.
std::string disk_at(const xml::Domain& domain, const json& address) {
    const auto at = address.is_object() ? address.find("pci-controller") : address.end();
    if (at == address.end() || !at->is_object()) return {};
    const xml::PciAddress wanted{whole(*at, "domain"), whole(*at, "bus"), whole(*at, "slot"), whole(*at, "function"), {}, {}};
    const auto stands_there = [&](const xml::DeviceInfo& info) {
        return info.address && info.address->type == xml::AddressType::pci && info.address->pci.same_place(wanted);
    };
    for (const auto& disk : domain.devices.disks)
        if (stands_there(disk.info)) return disk.target.dev;
    for (const auto& controller : domain.devices.controllers) {
        if (!stands_there(controller.info)) continue;
        const xml::DriveAddress place{controller.index.value_or(0), static_cast<std::uint32_t>(whole(address, "bus")),
                                      static_cast<std::uint32_t>(whole(address, "target")),
                                      static_cast<std::uint32_t>(whole(address, "unit"))};
        for (const auto& disk : domain.devices.disks)
            if (disk.target.bus && xml::word(*disk.target.bus) == xml::word(controller.type) && disk.info.address &&
                disk.info.address->type == xml::AddressType::drive && disk.info.address->drive == place)
                return disk.target.dev;
    }
    return {};
}

const json& disks_of(const json& filesystem) {
    static const json none = json::array();
    const auto at = filesystem.find("disk");
    return at == filesystem.end() ? none : array_of(*at, "disks of a file system");
}

} // namespace

void add_users(Params& out, const json& answer) {
    std::size_t i = 0;
    put_count(out, "user.count", array_of(answer, "users").size());
    for (const auto& user : answer) {
        const std::string prefix = fmt::format("user.{}.", i++);
        put(out, prefix + "name", required_text(user, "user", "guest-get-users"));
        put_text(out, prefix + "domain", text(user, "domain"));
        const auto since = number(user, "login-time");
        if (!since) rpc::fail(rpc::Code::internal_error, "'login-time' missing in reply of guest-get-users");
        put(out, prefix + "login-time", static_cast<std::uint64_t>(std::max(0.0, *since * 1000)));
    }
}

void add_os(Params& out, const json& answer) {
    for (const char* key : {"id", "name", "pretty-name", "version", "version-id", "machine", "variant", "variant-id",
                            "kernel-release", "kernel-version"})
        put_text(out, std::string("os.") + key, text(answer, key));
}

void add_timezone(Params& out, const json& answer) {
    put_text(out, "timezone.name", text(answer, "zone"));
    const auto offset = number(answer, "offset");
    if (!offset) rpc::fail(rpc::Code::internal_error, "'offset' missing in reply of guest-get-timezone");
    put(out, "timezone.offset", static_cast<std::int32_t>(*offset));
}

void add_filesystems(Params& out, const json& answer, const xml::Domain& domain) {
    if (array_of(answer, "file systems").empty()) return;
    put_count(out, "fs.count", answer.size());
    std::size_t i = 0;
    for (const auto& filesystem : answer) {
        const std::string prefix = fmt::format("fs.{}.", i++);
        put(out, prefix + "name", required_text(filesystem, "name", "guest-get-fsinfo"));
        put(out, prefix + "mountpoint", required_text(filesystem, "mountpoint", "guest-get-fsinfo"));
        put(out, prefix + "fstype", required_text(filesystem, "type", "guest-get-fsinfo"));
        for (const char* key : {"total-bytes", "used-bytes"})
            if (number(filesystem, key)) put(out, prefix + key, whole(filesystem, key));
        const json& disks = disks_of(filesystem);
        put_count(out, prefix + "disk.count", disks.size());
        std::size_t j = 0;
        for (const auto& disk : disks) {
            const std::string of_disk = fmt::format("{}disk.{}.", prefix, j++);
            if (const auto target = disk_at(domain, disk); !target.empty()) put(out, of_disk + "alias", target);
            put_text(out, of_disk + "serial", text(disk, "serial"));
            put_text(out, of_disk + "device", text(disk, "dev"));
        }
    }
}

void add_disks(Params& out, const json& answer, const xml::Domain& domain) {
    if (array_of(answer, "disks").empty()) return;
    put_count(out, "disk.count", answer.size());
    std::size_t i = 0;
    for (const auto& disk : answer) {
        const std::string prefix = fmt::format("disk.{}.", i++);
        put(out, prefix + "name", required_text(disk, "name", "guest-get-disks"));
        const auto partition = disk.find("partition");
        put(out, prefix + "partition", partition != disk.end() && partition->is_boolean() && partition->get<bool>());
        std::vector<std::string> below;
        if (const auto list = disk.find("dependencies"); list != disk.end() && list->is_array())
            for (const auto& name : *list)
                if (name.is_string()) below.push_back(name.get<std::string>());
        if (!below.empty()) put_count(out, prefix + "dependency.count", below.size());
        for (std::size_t j = 0; j < below.size(); ++j) put(out, fmt::format("{}dependency.{}.name", prefix, j), below[j]);
        if (const auto address = disk.find("address"); address != disk.end()) {
            put_text(out, prefix + "serial", text(*address, "serial"));
            if (const auto target = disk_at(domain, *address); !target.empty()) put(out, prefix + "alias", target);
        }
        put_text(out, prefix + "guest_alias", text(disk, "alias"));
    }
}

void add_interfaces(Params& out, const json& answer) {
    const auto list = interfaces(answer);
    if (list.empty()) return;
    put_count(out, "if.count", list.size());
    for (std::size_t i = 0; i < list.size(); ++i) {
        const std::string prefix = fmt::format("if.{}.", i);
        put(out, prefix + "name", list[i].name);
        put_text(out, prefix + "hwaddr", list[i].hwaddr);
        put_count(out, prefix + "addr.count", list[i].addrs.size());
        for (std::size_t j = 0; j < list[i].addrs.size(); ++j) {
            const auto& address = list[i].addrs[j];
            const std::string of_address = fmt::format("{}addr.{}.", prefix, j);
            put(out, of_address + "type", std::string(address.type == 1 ? "ipv6" : "ipv4"));
            put(out, of_address + "addr", address.addr);
            put(out, of_address + "prefix", address.prefix);
        }
    }
}

std::vector<remote::DomainFsinfo> filesystems(const json& answer, const xml::Domain& domain) {
    std::vector<remote::DomainFsinfo> list;
    for (const auto& filesystem : array_of(answer, "file systems")) {
        auto& out = list.emplace_back();
        out.mountpoint = required_text(filesystem, "mountpoint", "guest-get-fsinfo");
        out.name = required_text(filesystem, "name", "guest-get-fsinfo");
        out.fstype = required_text(filesystem, "type", "guest-get-fsinfo");
        for (const auto& disk : disks_of(filesystem))
            if (auto target = disk_at(domain, disk); !target.empty()) out.dev_aliases.push_back(std::move(target));
    }
    return list;
}

// An interface that has several names ("eth0:1") is one.
std::vector<remote::DomainInterface> interfaces(const json& answer) {
    std::vector<remote::DomainInterface> list;
    for (const auto& entry : array_of(answer, "interfaces")) {
        std::string name = required_text(entry, "name", "guest-network-get-interfaces");
        name = name.substr(0, name.find(':'));
        auto at = std::ranges::find(list, name, &remote::DomainInterface::name);
        if (at == list.end()) {
            list.push_back({name, text(entry, "hardware-address"), {}});
            at = std::prev(list.end());
        }
        const auto addresses = entry.find("ip-addresses");
        if (addresses == entry.end()) continue;
        for (const auto& address : array_of(*addresses, "addresses")) {
            const std::string family = required_text(address, "ip-address-type", "guest-network-get-interfaces");
            if (family != "ipv4" && family != "ipv6")
                rpc::fail(rpc::Code::internal_error, "unknown ip address type '{}'", family);
            at->addrs.push_back({family == "ipv6" ? 1 : 0, required_text(address, "ip-address", "guest-network-get-interfaces"),
                                 static_cast<std::uint32_t>(whole(address, "prefix"))});
        }
    }
    return list;
}

} // namespace lodge::daemon::guest_info
