#include "tests/catch.hpp"
#include "xml/domain/abi.hpp"
#include "xml/domain/abi_words.hpp"
#include <algorithm>
#include <regex>
#include <set>

namespace lodge::xml {

namespace {

Domain domain_with(const std::string& devices) {
    return parse_domain("<domain type='qemu'><name>a</name><memory>65536</memory><vcpu>2</vcpu>"
                        "<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>" +
                            devices + "</devices></domain>",
                        {});
}

std::string refusal(const std::string& before, const std::string& now) {
    try {
        check_abi(domain_with(before), domain_with(now));
    } catch (const rpc::Error& error) {
        CHECK(error.code() == Code::config_unsupported);
        return error.detail();
    }
    return {};
}

constexpr const char* disk = "<disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/></disk>";

} // namespace

TEST_CASE("the guest's view of a machine must not change") {
    CHECK(refusal(disk, disk).empty());
    CHECK(refusal(disk, "<disk type='file'><source file='/b'/><target dev='vdb' bus='virtio'/></disk>") ==
          "Target disk vdb does not match source vda");
    CHECK(refusal(disk, "") == "Target domain disk count 0 does not match source 1");
    CHECK(refusal("<watchdog model='i6300esb' action='reset'/>", "<watchdog model='ib700' action='reset'/>") ==
          "Target watchdog model ib700 does not match source i6300esb");
}

TEST_CASE("the host's side may change under the guest") {
    CHECK(refusal(disk, "<disk type='block'><driver cache='none'/><source dev='/b'/><target dev='vda' bus='virtio'/></disk>")
              .empty());
    CHECK(refusal("<watchdog model='i6300esb' action='reset'/>", "<watchdog model='i6300esb' action='pause'/>").empty());
    CHECK(refusal("<hostdev mode='subsystem' type='pci'><source><address bus='1' slot='2'/></source></hostdev>",
                  "<hostdev mode='subsystem' type='pci'><source><address bus='2' slot='2'/></source></hostdev>")
              .empty());
    CHECK(refusal("", "<graphics type='vnc'/>").empty());
}

namespace {

// A path without its places in lists: "domain/devices/disk[]/@model".
std::string without_places(const std::string& path) {
    static const std::regex place("\\[[0-9]+\\]");
    return std::regex_replace(path, place, "[]");
}

void list_paths(std::span<const AbiWords> rows, const std::string& at, std::set<std::string>& paths) {
    for (const auto& row : rows) {
        const std::string path = *row.path ? at + "/" + row.path : at;
        if (row.parts.empty())
            paths.insert(path);
        else
            list_paths(row.parts, path, paths);
    }
}

// A row may stand for all below its path, or take what it needs from above it (an entry by its name).
bool belong(const std::string& row, const std::string& fact) {
    const auto within = [](const std::string& a, const std::string& b) {
        return a.starts_with(b) && (a.size() == b.size() || a[b.size()] == '/');
    };
    return within(fact, row) || (fact.find("/entry[]") != fact.npos && within(row, fact.substr(0, fact.find("/entry[]"))));
}

// What only stands inside what is seen as a whole, and devices that libvirt does not look at.
bool says_nothing(const std::string& fact, const std::string& value) {
    return fact.starts_with("domain/devices/crypto[]") || fact.starts_with("domain/devices/nvram") || fact.ends_with("/@unit") ||
           fact.ends_with("/@dumpCore") || value == "present";
}

} // namespace

TEST_CASE("every fact that the guest sees has its words, and the words their fact") {
    std::set<std::string> rows, silent, unused;
    list_paths(abi_words(), domain_root, rows);
    unused = rows;
    Random random(7);
    for (int i = 0; i < 2000; ++i) {
        auto domain = random_value<Domain>(random);
        for (const auto& [path, value] : guest_view(domain_root, slot_of(domain))) {
            const auto fact = without_places(path);
            const auto before = unused.size();
            std::erase_if(unused, [&](const std::string& row) { return belong(row, fact); });
            if (unused.size() != before || says_nothing(fact, value)) continue;
            if (std::ranges::none_of(rows, [&](const std::string& row) { return belong(row, fact); })) silent.insert(fact);
        }
    }
    CAPTURE(silent, unused);
    CHECK(silent.empty());
    CHECK(unused.empty());
}

} // namespace lodge::xml
