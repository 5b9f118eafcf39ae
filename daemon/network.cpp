#include "daemon/network.hpp"
#include "rpc/generated/constants.hpp"

namespace lodge::daemon {

namespace api = rpc::api;
using rpc::Code;
using rpc::From;

static constexpr const char* status_root = "networkstatus";

static void describe(xml::Doc& doc, NetworkStatus::ClassIds& ids) { doc.attribute("bitmap", ids.bitmap); }
static void describe(xml::Doc& doc, NetworkStatus::Floor& floor) { doc.attribute("sum", floor.sum); }
static void describe(xml::Doc& doc, NetworkStatus& status) {
    doc.child("class_id", status.class_ids);
    doc.child("floor", status.floor);
    doc.child("network", status.network);
}

std::string format_network_status(const xml::Network& network, const std::map<rpc::Uuid, xml::NetworkPort>& ports) {
    NetworkStatus status;
    status.class_ids.bitmap = "0-2"; // none, the bridge's whole and its rest
    for (const auto id : promised_classes(ports)) status.class_ids.bitmap += fmt::format(",{}", id);
    status.floor.sum = promised_sum(ports);
    status.network = network;
    return xml::format(status, status_root, {.live = true, .secret = true, .private_ = true});
}

xml::Network parse_network_status(const std::string& text, const std::string& path) {
    auto status =
        xml::parse<NetworkStatus>(text, status_root, {.live = true, .private_ = true, .from = From::network, .where = path});
    xml::normalize_network(status.network);
    return std::move(status.network);
}

// A group of filters of which none is set asks for nothing.
static bool group_matches(unsigned flags, unsigned yes, unsigned no, bool fact) {
    return (flags & (yes | no)) == 0 || (fact ? (flags & yes) != 0 : (flags & no) != 0);
}

bool matches_network_filter(const Network& network, unsigned flags) {
    return group_matches(flags, api::connect_list_networks_active, api::connect_list_networks_inactive, network.is_active()) &&
           group_matches(flags, api::connect_list_networks_persistent, api::connect_list_networks_transient,
                         network.is_persistent()) &&
           group_matches(flags, api::connect_list_networks_autostart, api::connect_list_networks_no_autostart, network.autostart);
}

void check_network_conflict(const xml::Network& document, const Network* same_uuid, const Network* same_name, bool starting) {
    if (same_uuid) {
        if (same_uuid->name() != document.name)
            rpc::fail(From::network, Code::operation_failed, "network '{}' is already defined with uuid {}", same_uuid->name(),
                      same_uuid->uuid().text());
        if (starting && same_uuid->is_active())
            rpc::fail(From::network, Code::operation_invalid, "network is already active as '{}'", same_uuid->name());
    } else if (same_name) {
        rpc::fail(From::network, Code::operation_failed, "network '{}' already exists with uuid {}", same_name->name(),
                  same_name->uuid().text());
    }
}

} // namespace lodge::daemon
