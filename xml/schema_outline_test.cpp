// Every element and attribute that libvirt's schemas know is named by a description here.
#include "tests/catch.hpp"
#include "xml/backup.hpp"
#include "xml/capabilities.hpp"
#include "xml/checkpoint.hpp"
#include "xml/domain/domain.hpp"
#include "xml/domain_capabilities.hpp"
#include "xml/interface.hpp"
#include "xml/network.hpp"
#include "xml/network_port.hpp"
#include "xml/node_device.hpp"
#include "xml/nwfilter.hpp"
#include "xml/pool.hpp"
#include "xml/schema.hpp"
#include "xml/secret.hpp"
#include "xml/snapshot.hpp"
#include "xml/volume.hpp"
#include <iostream>
#include <map>
#include <pugixml.hpp>
#include <set>

namespace lodge::xml {

namespace {

// The paths that a RelaxNG grammar allows, like those of outline(): "/domain/devices/disk/@type".
class Grammar {
  public:
    explicit Grammar(const std::string& schema) { load(schema); }

    std::set<std::string> paths(const std::string& root) {
        for (const auto& file : files_) look_for_start(file.second.document_element(), root);
        return std::move(paths_);
    }

  private:
    void load(const std::string& name) {
        if (files_.contains(name)) return;
        auto& file = files_[name];
        if (!file.load_file(fmt::format("{}/{}", schema_folder, name).c_str())) return;
        collect(file.document_element());
    }

    void collect(pugi::xml_node parent) {
        for (const auto node : parent.children()) {
            const std::string_view kind = node.name();
            if (kind == "include") load(node.attribute("href").value());
            if (kind == "include" || kind == "div") collect(node);
            if (kind == "define") defines_[node.attribute("name").value()].push_back(node);
        }
    }

    void look_for_start(pugi::xml_node grammar, const std::string& root) {
        for (const auto& [name, definitions] : defines_)
            for (const auto& definition : definitions)
                for (const auto element : definition.children("element"))
                    if (element.attribute("name").value() == root) walk_element(element, "");
        for (const auto element : grammar.child("start").children("element"))
            if (element.attribute("name").value() == root) walk_element(element, "");
    }

    void walk_element(pugi::xml_node element, const std::string& path) {
        const std::string name = element.attribute("name").value();
        if (name.empty() || std::ranges::find(open_, element) != open_.end()) return;
        const auto here = path + "/" + name;
        if (!path.empty()) paths_.insert(here);
        open_.push_back(element);
        walk(element, here);
        open_.pop_back();
    }

    void walk(pugi::xml_node parent, const std::string& path) {
        for (const auto node : parent.children()) {
            const std::string_view kind = node.name();
            if (kind == "element") {
                walk_element(node, path);
            } else if (kind == "attribute") {
                if (*node.attribute("name").value()) paths_.insert(path + "/@" + node.attribute("name").value());
            } else if (kind == "ref") {
                follow(node.attribute("name").value(), path);
            } else {
                walk(node, path);
            }
        }
    }

    void follow(const std::string& name, const std::string& path) {
        if (!following_.emplace(name, path).second) return;
        for (const auto& definition : defines_[name]) walk(definition, path);
        following_.erase({name, path});
    }

    std::map<std::string, pugi::xml_document> files_;
    std::map<std::string, std::vector<pugi::xml_node>> defines_;
    std::vector<pugi::xml_node> open_; // elements around us
    std::set<std::pair<std::string, std::string>> following_;
    std::set<std::string> paths_;
};

struct Exception {
    std::string_view part; // of a path
    std::string_view reason;
};

// What is left out on purpose, with all below it.
constexpr Exception exceptions[] = {
    {"/domain/features/capabilities", "containers only"},
    {"/domain/namespace", "containers only"},
    {"/domain/devices/hostdev/ip", "containers only"},
    {"/domain/devices/hostdev/route", "containers only"},
    {"/domain/features/xen", "Xen only"},
    {"/address/zpci", "s390 only"},
    {"/backingStore/source/@index", "stands on <backingStore>"},
    {"/domain/datacenterpath", "VMware only"},
    {"/privateData", "libvirt's own status files only"},
    {"/capabilities/guest/arch/loader", "Xen only"},
    {"/capabilities/guest/features/hap", "Xen only"},
    {"/capabilities/guest/features/ia64_be", "Xen only"},
    {"/capabilities/host/cpu/features", "Xen only"},
    // What follows the schemas allow, because they share definitions between places, and libvirt never reads.
    {"/reservations/source/reconnect", "never read"},
    {"/domain/devices/console/target/model", "never read"},
    {"/domain/devices/parallel/@tty", "never read"},
    {"/domain/devices/parallel/target/", "never read"},
    {"/domain/devices/serial/@tty", "never read"},
    {"/domain/devices/smartcard/target", "never read"},
    {"/domain/devices/hostdev/source/adapter/", "never read: a SCSI device's adapter has a name alone"},
    {"/domain/launchSecurity/handle", "never read"},
    {"/network/forward/address/@multifunction", "never read"},
    {"/networkport/plug/address/@multifunction", "never read"},
    {"/pool/source/format/", "never read: vendor and product stand in <source>"},
    {"/filter/rule/tcp-ipv6/@flags", "never read"},
    {"/interface/bridge/interface/bond", "described: an interface in an interface, which an outline enters once"},
    {"/domainCapabilities/features/s390-pv", "s390 only"},
    {"/domainCapabilities/cpu/mode/model/@vendor_id", "never written"},
};

bool is_exception(const std::string& path) {
    return std::ranges::any_of(exceptions,
                               [&](const Exception& exception) { return path.find(exception.part) != std::string::npos; });
}

// `open`: how many are not described yet.
template<class T> void check_schema(const std::string& schema, const std::string& root, std::size_t open) {
    std::set<std::string> known;
    for (const auto& path : outline<T>(root.c_str())) {
        // The schema names elements of namespaces without their prefix ("commandline" for "qemu:commandline").
        std::string plain = path;
        for (auto colon = plain.find(':'); colon != std::string::npos; colon = plain.find(':')) {
            const auto slash = plain.rfind('/', colon);
            const auto start = slash == std::string::npos ? 0 : slash + 1;
            plain.erase(start, colon + 1 - start);
        }
        known.insert("/" + plain);
    }
    std::string missing;
    std::size_t count = 0, all = 0;
    for (const auto& path : Grammar(schema).paths(root)) {
        ++all;
        if (known.contains(path) || is_exception(path)) continue;
        missing += "\n  " + path;
        ++count;
    }
    std::cout << fmt::format("{}: {} of {} elements and attributes described{}\n", schema, all - count, all, missing);
    CHECK(count <= open);
}

} // namespace

TEST_CASE("descriptions know libvirt's schemas") {
    pugi::xml_document probe;
    if (!probe.load_file(fmt::format("{}/domain.rng", schema_folder).c_str())) {
        WARN("skipped: libvirt's schemas are not installed");
        return;
    }
    check_schema<Domain>("domain.rng", "domain", 0);
    check_schema<Network>("network.rng", "network", 0);
    check_schema<Interface>("interface.rng", "interface", 0);
    check_schema<Pool>("storagepool.rng", "pool", 0);
    check_schema<Volume>("storagevol.rng", "volume", 0);
    check_schema<Filter>("nwfilter.rng", "filter", 0);
    check_schema<FilterBinding>("nwfilterbinding.rng", "filterbinding", 0);
    check_schema<NetworkPort>("networkport.rng", "networkport", 0);
    check_schema<Secret>("secret.rng", "secret", 0);
    check_schema<NodeDevice>("nodedev.rng", "device", 0);
    check_schema<Snapshot>("domainsnapshot.rng", "domainsnapshot", 0);
    check_schema<Checkpoint>("domaincheckpoint.rng", "domaincheckpoint", 0);
    check_schema<Backup>("domainbackup.rng", "domainbackup", 0);
    check_schema<Capabilities>("capability.rng", "capabilities", 0);
    check_schema<DomainCapabilities>("domaincaps.rng", "domainCapabilities", 0);
}

} // namespace lodge::xml
