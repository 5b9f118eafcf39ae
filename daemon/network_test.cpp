#include "daemon/admin_text.hpp"
#include "daemon/network.hpp"
#include "rpc/generated/constants.hpp"
#include "tests/catch.hpp"

using namespace lodge;
using namespace lodge::daemon;
namespace api = rpc::api;

static const rpc::Uuid first = *rpc::Uuid::parse("11111111-2222-3333-4444-555555555501");
static const rpc::Uuid second = *rpc::Uuid::parse("11111111-2222-3333-4444-555555555502");

static xml::Network document(const std::string& name, const rpc::Uuid& uuid) {
    xml::Network network;
    network.name = name;
    network.uuid = uuid;
    return network;
}

// What libvirt says to a document with this name and uuid when `a` (first) is there; empty: welcome.
static std::string refusal(const std::string& name, const rpc::Uuid& uuid, bool running, bool starting) {
    Network known("a", first);
    (running ? known.live : known.definition) = document("a", first);
    try {
        check_network_conflict(document(name, uuid), uuid == first ? &known : nullptr, name == "a" ? &known : nullptr, starting);
        return {};
    } catch (const rpc::Error& error) {
        return error.what();
    }
}

TEST_CASE("a network's name and uuid belong together", "[network]") {
    CHECK(refusal("a", first, false, false).empty());
    CHECK(refusal("b", second, false, false).empty());
    CHECK(refusal("a", second, false, false) ==
          "operation failed: network 'a' already exists with uuid 11111111-2222-3333-4444-555555555501");
    CHECK(refusal("b", first, false, false) ==
          "operation failed: network 'a' is already defined with uuid 11111111-2222-3333-4444-555555555501");
    CHECK(refusal("a", first, true, false).empty()); // a running network may be redefined
    CHECK(refusal("a", first, true, true) == "Requested operation is not valid: network is already active as 'a'");
    CHECK(refusal("a", first, false, true).empty()); // a defined one may be started from another document
}

TEST_CASE("filters of one group are alternatives, groups must all be met", "[network]") {
    Network running("r", first), defined("d", second);
    running.live = document("r", first);
    defined.definition = document("d", second);
    defined.autostart = true;
    const auto found = [&](unsigned flags) {
        return std::string(matches_network_filter(running, flags) ? "r" : "") +
               (matches_network_filter(defined, flags) ? "d" : "");
    };
    CHECK(found(0) == "rd");
    CHECK(found(api::connect_list_networks_active) == "r");
    CHECK(found(api::connect_list_networks_inactive) == "d");
    CHECK(found(api::connect_list_networks_active | api::connect_list_networks_inactive) == "rd");
    CHECK(found(api::connect_list_networks_transient) == "r");
    CHECK(found(api::connect_list_networks_persistent) == "d");
    CHECK(found(api::connect_list_networks_autostart) == "d");
    CHECK(found(api::connect_list_networks_no_autostart) == "r");
    CHECK(found(api::connect_list_networks_inactive | api::connect_list_networks_transient).empty());
}

TEST_CASE("a status file comes back as it went", "[network]") {
    const std::string text = "<network>\n  <name>t</name>\n  <uuid>11111111-2222-3333-4444-555555555501</uuid>\n"
                             "  <bridge name='virbr1' stp='on' delay='0'/>\n  <mac address='52:54:00:41:f8:a7'/>\n"
                             "  <ip address='10.1.5.1' netmask='255.255.255.0'>\n  </ip>\n</network>\n";
    const auto network = xml::parse_network(text);
    const auto status = format_network_status(network, {});
    CHECK(
        status.starts_with("<networkstatus>\n  <class_id bitmap='0-2'/>\n  <floor sum='0'/>\n  <network>\n    <name>t</name>\n"));
    CHECK(xml::format_network(parse_network_status(status, "t.xml")) == text);
}

TEST_CASE("log settings are checked as libvirt does", "[admin]") {
    const auto output_refusal = [](const std::string& text) -> std::string {
        try {
            check_log_outputs(text);
            return {};
        } catch (const rpc::Error& error) {
            return error.detail();
        }
    };
    CHECK(output_refusal("3:stderr 1:file:/tmp/y").empty());
    CHECK(output_refusal("1:journald").empty());
    CHECK(output_refusal("9:stderr") == "Invalid log priority '9' for log output '9:stderr'");
    CHECK(output_refusal("1:bogus") == "Invalid log destination 'bogus' for log output '1:bogus'");
    CHECK(output_refusal("3:file") == "Log output '3:file' does not meet the format requirements for destination type 'file'");
    CHECK(output_refusal("1:stderr:x") ==
          "Log output '1:stderr:x' does not meet the format requirements for destination type 'stderr'");

    const auto filters = parse_log_filters("2:+qemu 3:util");
    CHECK(filters.text == "2:*qemu* 3:*util* ");
    CHECK(filters.loudest == 2);
    CHECK_THROWS_AS(parse_log_filters("7:qemu"), rpc::Error);
    CHECK_THROWS_AS(parse_log_filters("3:"), rpc::Error);
    CHECK_THROWS_AS(parse_log_filters("foo"), rpc::Error);
}
