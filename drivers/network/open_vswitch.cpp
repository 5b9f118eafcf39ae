// Ports on switches of Open vSwitch, by its own tool: its database is the only door to a switch.
#include "drivers/network/network_driver.hpp"
#include "drivers/process/process.hpp"

namespace lodge::drivers {

namespace {

constexpr const char* tool = "ovs-vsctl";

// "tag=7", or "trunk=1,2,3" with the one that travels without a tag.
std::vector<std::string> vlan_words(const xml::Vlan& vlan) {
    std::vector<std::string> words;
    std::string trunk;
    for (const auto& tag : vlan.tags) {
        trunk += (trunk.empty() ? "" : ",") + std::to_string(tag.id);
        if (!tag.native_mode) continue;
        words.push_back(fmt::format("vlan_mode=native-{}", xml::word(*tag.native_mode)));
        words.push_back(fmt::format("tag={}", tag.id));
    }
    if (vlan.trunk && *vlan.trunk)
        words.push_back("trunk=" + trunk);
    else if (!vlan.tags.empty())
        words.push_back(fmt::format("tag={}", vlan.tags.front().id));
    return words;
}

} // namespace

std::vector<std::string> switch_port_words(const SwitchPort& port) {
    std::vector<std::string> words = {"--timeout=5", "--",       "--if-exists", "del-port", port.tap,
                                      "--",          "add-port", port.bridge,   port.tap};
    if (port.vlan)
        for (auto& word : vlan_words(*port.vlan)) words.push_back(std::move(word));
    const auto note = [&](const char* key, const std::string& value) {
        if (value.empty()) return;
        for (std::string word : {std::string("--"), std::string("set"), std::string("Interface"), port.tap,
                                 fmt::format("external-ids:{}=\"{}\"", key, value)})
            words.push_back(std::move(word));
    };
    note("attached-mac", port.mac);
    note("iface-id", port.interface_id);
    note("vm-id", port.vm_id);
    note("port-profile", port.profile);
    note("ifname", port.tap);
    note("iface-status", "active");
    return words;
}

// One order at a time and in their turn: a name that was given up may have been given to the next guest already.
rpc::Task<RunResult> NetworkDriver::order_switch(std::vector<std::string> words) {
    const auto before = std::exchange(last_switch_order_, std::make_shared<rpc::Signal>(executor_));
    const auto mine = last_switch_order_;
    if (before) co_await before->wait();
    Command command;
    command.program = tool;
    command.args = std::move(words);
    std::exception_ptr failure;
    RunResult result;
    try {
        result = co_await run(std::move(command));
    } catch (...) {
        failure = std::current_exception();
    }
    mine->set();
    if (failure) std::rethrow_exception(failure);
    co_return result;
}

rpc::Task<> NetworkDriver::add_switch_port(SwitchPort port) {
    const auto result = co_await order_switch(switch_port_words(port));
    if (!result.exit.success())
        rpc::fail(rpc::Code::internal_error, "Unable to add port {} to OVS bridge {}: {}", port.tap, port.bridge,
                  result.reason());
}

rpc::Task<> NetworkDriver::remove_switch_port(std::string tap) {
    const auto result = co_await order_switch({"--timeout=5", "--", "--if-exists", "del-port", tap});
    if (!result.exit.success())
        rpc::fail(rpc::Code::internal_error, "Unable to delete port {} from OVS: {}", tap, result.reason());
}

} // namespace lodge::drivers
