#include "drivers/qemu/helpers/commands.hpp"

namespace lodge::drivers::qemu {

namespace {

std::string ports(const xml::PortForward& forward) {
    std::string text;
    if (!forward.address.empty()) text = forward.address + (forward.dev.empty() ? "" : "%" + forward.dev) + "/";
    if (forward.ranges.empty()) return text + "all";
    bool first = true;
    for (const auto& range : forward.ranges) {
        if (!std::exchange(first, false)) text += ',';
        if (range.exclude && *range.exclude) text += '~';
        text += std::to_string(range.start);
        if (range.end) text += fmt::format("-{}", *range.end);
        if (!range.to) continue;
        text += fmt::format(":{}", *range.to);
        if (range.end) text += fmt::format("-{}", *range.to + (*range.end - range.start));
    }
    return text;
}

} // namespace

Command passt(const xml::Nic& nic, int connection) {
    Command command;
    command.program = "passt";
    const auto add = [&](std::string name, std::string value) {
        command.args.push_back(std::move(name));
        command.args.push_back(std::move(value));
    };
    command.args = {"--foreground", "--one-off"};
    add("--fd", std::to_string(connection));
    if (nic.mac.address) add("--mac-addr", nic.mac.address->text());
    if (nic.mtu) add("--mtu", std::to_string(*nic.mtu));
    if (!nic.source.dev.empty()) add("--interface", nic.source.dev);
    if (!nic.backend.log_file.empty()) add("--log-file", nic.backend.log_file);
    for (const auto& ip : nic.ips) {
        add("--address", ip.address.text());
        if (ip.prefix && !ip.address.is_v6()) add("--netmask", std::to_string(*ip.prefix));
    }
    for (const auto& forward : nic.port_forwards) add(forward.proto == "udp" ? "--udp-ports" : "--tcp-ports", ports(forward));
    command.fds.push_back({connection, connection});
    return command;
}

} // namespace lodge::drivers::qemu
