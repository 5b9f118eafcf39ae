// What the administrator's programs are told of networks: the network's document, and that of the port it is about, in one.
#include "daemon/hooks.hpp"
#include "daemon/networks.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::daemon {

// Every line two blanks further to the right.
static std::string indented(const std::string& text) {
    std::string out;
    for (std::size_t from = 0; from < text.size();) {
        const auto end = std::min(text.find('\n', from), text.size() - 1);
        out += "  " + text.substr(from, end + 1 - from);
        from = end + 1;
    }
    if (!out.ends_with('\n')) out += '\n';
    return out;
}

static HookCall hook_call(const xml::Network& network, const std::optional<xml::NetworkPort>& port, std::string operation,
                          std::string phase) {
    std::string input = "<hookData>\n" + indented(xml::format_network(network));
    if (port) input += indented(xml::format_network_port(*port));
    return {network.name, std::move(operation), std::move(phase), "-", input + "</hookData>"};
}

Task<> Networks::call_hook(xml::Network document, std::optional<xml::NetworkPort> port, std::string operation) {
    if (host_.hooks().has(HookKind::network))
        co_await host_.hooks().call(HookKind::network, hook_call(document, port, std::move(operation), "begin"));
}

Task<> Networks::tell_hook(xml::Network document, std::optional<xml::NetworkPort> port, std::string operation,
                           std::string phase) {
    if (host_.hooks().has(HookKind::network))
        co_await host_.hooks().tell(HookKind::network, hook_call(document, port, std::move(operation), std::move(phase)));
}

Task<> Networks::call_port_hook(xml::Domain guest, xml::Nic nic) {
    const auto network = networks_.by_name(nic.source.network);
    const auto uuid = rpc::Uuid::parse(nic.source.port_id);
    if (network && network->is_active() && uuid)
        co_await call_hook(*network->live, port_of(guest, nic, *uuid, *network->live), "port-created");
}

Task<> Networks::tell_port_hook(xml::Domain guest, xml::Nic nic) {
    const auto network = networks_.by_name(nic.source.network);
    const auto uuid = rpc::Uuid::parse(nic.source.port_id);
    if (network && network->is_active() && uuid)
        co_await tell_hook(*network->live, port_of(guest, nic, *uuid, *network->live), "port-deleted", "begin");
}

} // namespace lodge::daemon
