// Networks at start-up: definitions in /etc, status files of what runs in /run, and autostart.
#include "daemon/networks.hpp"
#include "daemon/store.hpp"
#include "rpc/log.hpp"
#include <filesystem>

namespace lodge::daemon {

namespace fs = std::filesystem;

// The program that dnsmasq tells of leases: beside the daemon in a build tree, in libexec when installed.
static fs::path leases_helper() {
    std::error_code ignored;
    const fs::path folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
    const fs::path beside = folder / "lodge_leaseshelper";
    return fs::exists(beside, ignored) ? beside : (folder.parent_path() / "libexec" / "lodge_leaseshelper");
}

static drivers::NetworkPaths driver_paths(const drivers::Paths& paths) {
    drivers::NetworkPaths own;
    own.dnsmasq = paths.lib + "/dnsmasq";
    own.run = paths.run + "/network";
    own.leases_helper = leases_helper();
    return own;
}

Networks::Networks(Host& host)
    : host_(host)
    , driver_(host.executor(), driver_paths(host.paths())) {}

std::string Networks::definition_file(const std::string& name) const {
    return host_.paths().etc + "/qemu/networks/" + name + ".xml";
}
std::string Networks::autostart_link(const std::string& name) const {
    return host_.paths().etc + "/qemu/networks/autostart/" + name + ".xml";
}
std::string Networks::status_file(const std::string& name) const { return host_.paths().run + "/network/" + name + ".xml"; }

NetworkPtr Networks::load_definition(const std::string& text, const std::string& file_name, const std::string& path) {
    xml::Network document = xml::parse_network(text, {.from = From::network, .where = path});
    if (document.name != file_name)
        rpc::fail(Code::internal_error, "the file is named '{}' but defines network '{}'", file_name, document.name);
    if (document.uuid.is_nil()) document.uuid = rpc::Uuid::random();
    check_network_conflict(document, networks_.by_uuid(document.uuid).get(), networks_.by_name(document.name).get(), false);
    auto network = std::make_shared<Network>(document.name, document.uuid);
    network->definition = std::move(document);
    std::error_code ignored;
    network->autostart = fs::is_symlink(autostart_link(file_name), ignored);
    networks_.add(network);
    return network;
}

// Files written by hand may lack what every definition has: uuid, MAC and bridge name, which must not change from start to start.
Task<> Networks::complete_definitions(std::vector<NetworkPtr> incomplete) {
    for (const auto& network : incomplete) {
        xml::Network document = *network->definition;
        try {
            if (document.bridge_name().empty()) choose_bridge(document);
            xml::complete_network(document);
            network->definition = document;
            co_await store_definition(network, std::move(document));
        } catch (const std::exception& error) {
            log::warn("network {}: cannot complete its definition: {}", network->name(), error.what());
        }
    }
}

static bool is_complete(const std::string& text, const xml::Network& document) {
    return text.find("<uuid>") != std::string::npos &&
           (!document.has_own_bridge() || (document.mac && !document.bridge_name().empty()));
}

Task<> Networks::load() {
    const std::string folder = host_.paths().etc + "/qemu/networks";
    std::vector<NetworkPtr> incomplete; // their bridges are chosen when all others are known
    for (const auto& file : co_await rpc::blocking_result([folder] { return store::read_folder(folder); })) {
        try {
            if (!file.error.empty()) rpc::fail(Code::internal_error, "{}", file.error);
            const auto network = load_definition(file.text, file.name, file.path);
            if (!is_complete(file.text, *network->definition)) incomplete.push_back(network);
        } catch (const std::exception& error) {
            log::error("cannot load network definition {}: {}", file.path, error.what());
        }
    }
    co_await complete_definitions(std::move(incomplete));
    co_await adopt_running();
}

Task<> Networks::adopt_running() {
    const std::string folder = host_.paths().run + "/network";
    for (const auto& file : co_await rpc::blocking_result([folder] { return store::read_folder(folder); })) {
        try {
            if (!file.error.empty()) rpc::fail(Code::internal_error, "{}", file.error);
            co_await adopt(file.text, file.path);
        } catch (const std::exception& error) {
            log::error("cannot take up the network of {}: {}", file.path, error.what());
        }
    }
}

Task<> Networks::adopt(std::string text, std::string path) {
    xml::Network document = parse_network_status(text, path);
    auto network = networks_.by_uuid(document.uuid);
    check_network_conflict(document, network.get(), networks_.by_name(document.name).get(), true);
    if (!co_await driver_.adopt(document)) {
        log::info("network {}: no longer running", document.name);
        store::remove_now(path);
        co_return;
    }
    if (!network) {
        network = std::make_shared<Network>(document.name, document.uuid);
        networks_.add(network);
    }
    network->live = std::move(document);
    co_await load_ports(network);
    log::info("network {}: still running", network->name());
}

Task<> Networks::autostart() {
    const std::string done = host_.paths().run + "/network/autostarted";
    if (fs::exists(done)) co_return;
    store::replace_now(done, "", false);
    for (const auto& network : list(0)) {
        if (!network->autostart || network->is_active()) continue;
        try {
            co_await start(network);
        } catch (const std::exception& error) {
            log::error("network {}: cannot be started: {}", network->name(), error.what());
        }
    }
}

} // namespace lodge::daemon
