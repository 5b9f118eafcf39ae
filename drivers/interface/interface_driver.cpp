#include "drivers/interface/interface_driver.hpp"
#include "drivers/interface/config.hpp"
#include "drivers/interface/live.hpp"
#include "drivers/process/process.hpp"
#include "rpc/error.hpp"
#include "rpc/log.hpp"
#include <algorithm>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

namespace lodge::drivers {

using rpc::Code;
using rpc::From;
namespace fs = std::filesystem;

// Everything here runs on the worker pool, where calls of several clients may meet: hence the one mutex of this house. It is held
// for milliseconds, and never across an await.
struct InterfaceDriver::State {
    explicit State(InterfacePaths given)
        : paths(std::move(given))
        , config(InterfaceConfig::of_host(paths.root)) {}

    InterfacePaths paths;
    std::mutex mutex;
    std::unique_ptr<InterfaceConfig> config;
    // The files as they were before an interface was defined: should its first start fail, they come back.
    std::map<std::string, FileSnapshot> before_define;

    std::optional<xml::Interface> configured(const std::string& name) {
        for (auto& each : config->read())
            if (each.name == name) return std::move(each);
        return std::nullopt;
    }
    fs::path checkpoint() const { return paths.state / "change.json"; }

    // A document says more than the host's files can hold (a link's speed, a port's MAC address). What was defined is therefore
    // kept beside them, and shown for as long as the files say what they said right after that definition.
    fs::path kept(const std::string& name) const { return paths.state / "defined" / (name + ".json"); }
    void keep(const xml::Interface& document) {
        const auto now = configured(document.name);
        if (!now) return;
        const nlohmann::json json = {{"document", xml::format_interface(document)}, {"files_say", xml::format_interface(*now)}};
        fs::create_directories(kept(document.name).parent_path());
        write_config_file(kept(document.name), json.dump());
    }
    xml::Interface as_defined(xml::Interface configured) const {
        const auto json = nlohmann::json::parse(read_config_file(kept(configured.name)), nullptr, false);
        if (!json.is_object() || json.value("files_say", "") != xml::format_interface(configured)) return configured;
        try {
            return xml::parse_interface(json.value("document", ""));
        } catch (const rpc::Error&) {
            return configured; // not ours, or of another version
        }
    }
};

InterfaceDriver::InterfaceDriver(InterfacePaths paths)
    : state_(std::make_unique<State>(std::move(paths))) {}
InterfaceDriver::~InterfaceDriver() = default;

namespace {

std::set<std::string> port_names(const xml::Interface& document) {
    std::set<std::string> names;
    for (const auto* ports :
         {document.bridge ? &document.bridge->ports : nullptr, document.bond ? &document.bond->ports : nullptr})
        if (ports)
            for (const auto& port : *ports) {
                names.insert(port.name);
                names.merge(port_names(port));
            }
    return names;
}

std::vector<InterfaceInfo> list_all(InterfaceConfig& config) {
    Netlink netlink;
    const auto host = HostState::take(netlink);
    std::vector<InterfaceInfo> found;
    for (const auto& link : host.links)
        if (is_listed(link)) found.push_back({link.name, link.mac, link.is_up()});
    for (const auto& each : config.read())
        if (!host.link(each.name)) found.push_back({each.name, each.mac ? each.mac->address : "", false});
    return found;
}

[[noreturn]] void no_interface(const std::string& what, const std::string& name) {
    rpc::fail(From::interface, Code::no_interface, "couldn't find interface {} '{}'", what, name);
}

Task<> run_all(std::vector<Command> commands) {
    for (auto& command : commands) {
        const auto program = command.program;
        try {
            const auto result = co_await run(std::move(command));
            if (!result.exit.success()) log::warn("{}: {}", program, result.reason());
        } catch (const std::exception& error) {
            log::warn("{}: {}", program, error.what());
        }
    }
}

// Off the control thread, one at a time.
template<class S, class F> auto locked(S* state, F work) {
    return rpc::blocking_result([state, work = std::move(work)] {
        const std::lock_guard lock(state->mutex);
        return work(*state);
    });
}

} // namespace

Task<std::vector<InterfaceInfo>> InterfaceDriver::list() {
    co_return co_await locked(state_.get(), [](State& state) { return list_all(*state.config); });
}

Task<InterfaceInfo> InterfaceDriver::by_name(std::string name) {
    co_return co_await locked(state_.get(), [name](State& state) {
        for (auto& each : list_all(*state.config))
            if (each.name == name) return each;
        Netlink netlink; // ports are not listed, but may be asked for
        if (const auto link = netlink.link(name)) return InterfaceInfo{link->name, link->mac, link->is_up()};
        no_interface("named", name);
    });
}

Task<InterfaceInfo> InterfaceDriver::by_mac(std::string mac) {
    co_return co_await locked(state_.get(), [mac](State& state) {
        const auto wanted = xml::MacAddress::parse(mac);
        auto found = list_all(*state.config);
        std::erase_if(found, [&](const InterfaceInfo& each) { return !wanted || xml::MacAddress::parse(each.mac) != wanted; });
        if (found.empty()) no_interface("with MAC address", mac);
        if (found.size() > 1)
            rpc::fail(From::interface, Code::multiple_interfaces, "multiple interfaces with matching MAC address");
        return found.front();
    });
}

Task<xml::Interface> InterfaceDriver::document(std::string name, bool inactive) {
    co_return co_await locked(state_.get(), [name, inactive](State& state) {
        auto configured = state.configured(name);
        if (configured && inactive) return state.as_defined(*std::move(configured));
        Netlink netlink;
        const auto host = HostState::take(netlink);
        const auto* link = host.link(name);
        if (!link && configured) return *std::move(configured);
        if (!link) no_interface("named", name);
        auto document = live_document(host, *link);
        if (inactive) { // configured nowhere: how it stands now is the best that can be said
            document.link.reset();
            document.mac.reset();
            document.start = xml::InterfaceStart{xml::StartMode::none};
        }
        return document;
    });
}

Task<InterfaceInfo> InterfaceDriver::define(xml::Interface document) {
    auto info = co_await locked(state_.get(), [document](State& state) {
        auto before = state.config->snapshot();
        try {
            state.config->define(document);
            state.keep(document);
        } catch (...) {
            before.restore(state.config->places());
            throw;
        }
        Netlink netlink;
        const auto link = netlink.link(document.name);
        if (!link) state.before_define[document.name] = std::move(before);
        return InterfaceInfo{document.name, link ? link->mac : document.mac ? document.mac->address : "", link && link->is_up()};
    });
    log::info("interface {}: defined", document.name);
    co_return info;
}

Task<> InterfaceDriver::undefine(std::string name) {
    co_await locked(state_.get(), [name](State& state) {
        if (!state.configured(name)) no_interface("configured as", name);
        auto before = state.config->snapshot();
        try {
            state.config->undefine(name);
            fs::remove(state.kept(name));
        } catch (...) {
            before.restore(state.config->places());
            throw;
        }
        state.before_define.erase(name);
        return true;
    });
    log::info("interface {}: undefined", name);
}

Task<> InterfaceDriver::create(std::string name) {
    auto after = co_await locked(state_.get(), [name](State& state) {
        const auto document = state.configured(name);
        Netlink netlink;
        if (!document && !netlink.link(name)) no_interface("configured as", name);
        std::vector<Command> commands;
        const auto undo = state.before_define.extract(name);
        try {
            xml::Interface plain;
            plain.name = name;
            commands = bring_up(document.value_or(plain));
        } catch (...) {
            // It never ran: a definition that cannot work shall not be what the host boots with.
            if (undo) undo.mapped().restore(state.config->places());
            throw;
        }
        if (document)
            for (const auto& port : port_names(*document)) state.config->mark(port, false);
        state.config->mark(name, true);
        for (auto& each : state.config->notify()) commands.push_back(std::move(each));
        return commands;
    });
    co_await run_all(std::move(after));
    log::info("interface {}: up", name);
}

Task<> InterfaceDriver::destroy(std::string name) {
    auto after = co_await locked(state_.get(), [name](State& state) {
        Netlink netlink;
        const auto link = netlink.link(name);
        if (!link || !link->is_up()) rpc::fail(From::interface, Code::operation_invalid, "interface '{}' is not active", name);
        std::vector<std::string> ports;
        if (const auto document = state.configured(name)) {
            const auto names = port_names(*document);
            ports.assign(names.begin(), names.end());
        }
        auto commands = take_down(name, ports);
        state.config->mark(name, false);
        return commands;
    });
    co_await run_all(std::move(after));
    log::info("interface {}: down", name);
}

// ---- changes that are tried first ----

Task<> InterfaceDriver::change_begin() {
    co_await locked(state_.get(), [](State& state) {
        if (fs::exists(state.checkpoint()))
            rpc::fail(From::interface, Code::operation_invalid, "there is another transaction running.");
        Netlink netlink;
        nlohmann::json json = {{"kernel", HostState::take(netlink).to_json()}, {"files", nlohmann::json::object()}};
        for (const auto& [file, text] : state.config->snapshot().files) json["files"][file.string()] = text;
        write_config_file(state.checkpoint(), json.dump());
        return true;
    });
}

Task<> InterfaceDriver::change_commit() {
    co_await locked(state_.get(), [](State& state) {
        if (!fs::remove(state.checkpoint()))
            rpc::fail(From::interface, Code::operation_invalid, "no transaction running, nothing to be committed.");
        return true;
    });
}

Task<> InterfaceDriver::change_rollback() {
    auto after = co_await locked(state_.get(), [](State& state) {
        if (!fs::exists(state.checkpoint()))
            rpc::fail(From::interface, Code::operation_invalid, "no transaction running, nothing to rollback.");
        const auto json = nlohmann::json::parse(read_config_file(state.checkpoint()));
        FileSnapshot files;
        for (const auto& [file, text] : json.at("files").items()) files.files[file] = text.get<std::string>();
        files.restore(state.config->places());
        state.before_define.clear();

        Netlink netlink;
        const auto wanted = HostState::from_json(json.at("kernel"));
        std::vector<Command> commands;
        // What was taken down and no longer exists is made again from its configuration.
        for (const auto& link : wanted.links)
            if (!netlink.link(link.name))
                if (const auto document = state.configured(link.name)) commands = bring_up(*document);
        wanted.restore(netlink);
        fs::remove(state.checkpoint());
        for (auto& each : state.config->notify()) commands.push_back(std::move(each));
        return commands;
    });
    co_await run_all(std::move(after));
    log::info("interfaces: rolled back");
}

} // namespace lodge::drivers
