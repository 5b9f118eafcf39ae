// Real links in a network namespace of their own, configuration below a folder of its own: the visible case runs this program
// again inside.
#include "drivers/host/netlink.hpp"
#include "drivers/interface/config.hpp"
#include "drivers/interface/interface_driver.hpp"
#include "rpc/error.hpp"
#include "rpc/finish_blocking.hpp"
#include "tests/catch.hpp"
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <unistd.h>

using namespace lodge;
using namespace lodge::drivers;
using rpc::Task;
namespace fs = std::filesystem;

TEST_CASE("host interfaces are bridged live in a world of their own") {
    if (geteuid() != 0 || std::system("unshare -mnpf --mount-proc true 2>/dev/null") != 0) {
        WARN("skipped: needs root and network namespaces");
        return;
    }
    const auto self = fs::read_symlink("/proc/self/exe").string();
    for (const char* tag : {"[netns-ifupdown]", "[netns-networkd]", "[netns-rollback]", "[netns-unconfigured]"})
        CHECK(std::system(("unshare -mnpf --kill-child --mount-proc '" + self + "' '" + tag + "'").c_str()) == 0);
}

namespace {

struct Host {
    Host() {
        fs::create_directories(root / "etc/network");
        fs::create_directories(root / "run/network");
        REQUIRE(std::system("ip link set lo up && ip link add eth0 address 52:54:00:aa:00:01 type veth peer name far && "
                            "ip link set far up && ip link set eth0 up && ip addr add 192.0.2.5/24 dev eth0 && "
                            "ip addr add 2001:db8::5/64 dev eth0 nodad && ip route add default via 192.0.2.1 && "
                            "ip route add 198.51.100.0/24 via 192.0.2.9 metric 7") == 0);
    }
    ~Host() {
        rpc::finish_blocking();
        fs::remove_all(root);
    }
    void write(const char* name, const std::string& text) { write_config_file(root / name, text); }
    std::string read(const char* name) const { return read_config_file(root / name); }
    InterfacePaths paths() const { return {root, root / "state"}; }

    template<class T> T run(Task<T> task) {
        std::optional<T> result;
        run(keep(std::move(task), result));
        return std::move(*result);
    }
    void run(Task<> task) {
        std::exception_ptr failure;
        bool done = false;
        boost::asio::co_spawn(context, std::move(task), [&](std::exception_ptr ended) { failure = ended, done = true; });
        while (!done) context.run_one(), context.restart();
        if (failure) std::rethrow_exception(failure);
    }
    template<class T> static Task<> keep(Task<T> task, std::optional<T>& result) { result = co_await std::move(task); }

    // All that a user could miss afterwards, by the names of links.
    std::vector<std::string> reachable(const std::string& by) {
        Netlink netlink;
        const int index = netlink.index_of(by);
        std::vector<std::string> facts;
        for (const auto& each : netlink.addresses(index))
            if (!each.address.text().starts_with("fe80")) facts.push_back(fmt::format("{}/{}", each.address.text(), each.prefix));
        for (const auto& each : netlink.routes())
            if (each.index == index && !each.gateway.empty())
                facts.push_back(fmt::format("{}/{} via {} {}", each.destination.text(), each.prefix, each.gateway.text(),
                                            each.metric.value_or(0)));
        std::ranges::sort(facts);
        return facts;
    }

    boost::asio::io_context context;
    fs::path root = fs::temp_directory_path() / fmt::format("lodge-interface-{}", getpid());
    const std::vector<std::string> all = {"/0 via 192.0.2.1 0", "192.0.2.5/24", "198.51.100.0/24 via 192.0.2.9 7",
                                          "2001:db8::5/64"};
};

// What `virsh iface-bridge eth0 br0` makes of the document of eth0.
xml::Interface bridged(xml::Interface document) {
    xml::Interface bridge = document;
    bridge.type = xml::InterfaceType::bridge;
    bridge.name = "br0";
    bridge.mac.reset();
    bridge.bridge.emplace();
    bridge.bridge->stp = xml::OnOff(true);
    bridge.bridge->delay = "0";
    document.protocols.clear();
    document.start.reset();
    document.mtu.reset();
    bridge.bridge->ports.push_back(std::move(document));
    return bridge;
}

// The calls of virsh, in its order.
void bridge_and_back(Host& host, InterfaceDriver& driver) {
    const auto before = host.run(driver.document("eth0", true));
    host.run(driver.define(bridged(before)));
    host.run(driver.create("br0"));
    CHECK(host.reachable("br0") == host.all);
    CHECK(host.reachable("eth0").empty());
    Netlink netlink;
    CHECK(netlink.link("eth0")->master == netlink.link("br0")->index);
    CHECK(netlink.link("br0")->mac == "52:54:00:aa:00:01");
    const auto list = host.run(driver.list());
    CHECK(std::ranges::any_of(list, [](const auto& each) { return each.name == "br0" && each.active; }));
    CHECK(std::ranges::none_of(list, [](const auto& each) { return each.name == "eth0"; }));
    const auto live = host.run(driver.document("br0", false));
    CHECK(live.bridge->ports.size() == 1);
    auto inactive = host.run(driver.document("br0", true));
    REQUIRE(inactive.bridge);
    REQUIRE(inactive.bridge->ports.size() == 1);
    CHECK(inactive.bridge->ports[0].name == "eth0");
    CHECK(inactive.protocol("ipv4")->ips[0].address.text() == "192.0.2.5");

    host.run(driver.destroy("br0"));
    CHECK(host.reachable("eth0") == host.all);
    CHECK_FALSE(netlink.link("br0"));
    host.run(driver.undefine("br0"));
    host.run(driver.define(before));
    host.run(driver.create("eth0"));
    CHECK(host.reachable("eth0") == host.all);
    const auto after = host.run(driver.document("eth0", true));
    CHECK(xml::format_interface(after) == xml::format_interface(before));
}

constexpr auto interfaces_file = R"(# This file describes the network interfaces
source /etc/network/interfaces.d/*

auto lo
iface lo inet loopback

# The primary network interface
auto eth0
iface eth0 inet static
    address 192.0.2.5/24
    gateway 192.0.2.1
    # resolvers
    dns-nameservers 192.0.2.53
    up echo up on eth0
)";

} // namespace

TEST_CASE("ifupdown: eth0 into a bridge and out again", "[.][netns-ifupdown]") {
    Host host;
    host.write("etc/network/interfaces", interfaces_file);
    host.write("etc/network/interfaces.d/other", "iface eth7 inet dhcp\n");
    host.write("run/network/ifstate", "lo=lo\neth0=eth0\n");
    InterfaceDriver driver(host.paths());
    const auto before = host.run(driver.document("eth0", true));
    host.run(driver.define(bridged(before)));
    CHECK(host.read("etc/network/interfaces") == R"(# This file describes the network interfaces
source /etc/network/interfaces.d/*

auto lo
iface lo inet loopback

# The primary network interface

auto br0
iface br0 inet static
    address 192.0.2.5/24
    gateway 192.0.2.1
    bridge_ports eth0
    bridge_stp on
    bridge_fd 0
    pre-up ip link show $IFACE >/dev/null 2>&1 || ip link add $IFACE type bridge stp_state 1 # lodge
    pre-up ip link set eth0 master $IFACE up # lodge
    post-down ip link delete $IFACE # lodge
    dns-nameservers 192.0.2.53
    up echo up on br0

auto eth0
iface eth0 inet manual
)");
    CHECK(host.read("etc/network/interfaces.d/other") == "iface eth7 inet dhcp\n");
    host.run(driver.undefine("br0"));
    host.run(driver.define(before));
    CHECK(host.read("etc/network/interfaces").find("dns-nameservers 192.0.2.53") != std::string::npos);
    CHECK(host.read("etc/network/interfaces").find("up echo up on eth0") != std::string::npos);
    bridge_and_back(host, driver);
    CHECK(host.read("run/network/ifstate") == "lo=lo\neth0=eth0\n");
    CHECK(host.run(driver.document("eth7", true)).protocol("ipv4")->dhcp);
    CHECK_THROWS_AS(host.run(driver.by_name("nosuch")), rpc::Error);
    CHECK(host.run(driver.by_mac("52:54:00:AA:00:01")).name == "eth0");
}

TEST_CASE("networkd: eth0 into a bridge and out again", "[.][netns-networkd]") {
    Host host;
    host.write("etc/network/interfaces", "auto lo\niface lo inet loopback\n");
    host.write(
        "etc/systemd/network/20-wired.network",
        "[Match]\nName=eth0\n\n[Network]\nAddress=192.0.2.5/24\nGateway=192.0.2.1\nDNS=192.0.2.53\n\n[DHCPv4]\nUseMTU=yes\n");
    InterfaceDriver driver(host.paths());
    bridge_and_back(host, driver);
    host.run(driver.define(bridged(host.run(driver.document("eth0", true)))));
    CHECK(host.read("etc/systemd/network/10-lodge-br0.network") ==
          "[Match]\nName=br0\n\n[Network]\nAddress=192.0.2.5/24\nGateway=192.0.2.1\nDNS=192.0.2.53\n\n[DHCPv4]\nUseMTU=yes\n");
    CHECK(host.read("etc/systemd/network/10-lodge-br0.netdev") ==
          "[NetDev]\nName=br0\nKind=bridge\n\n[Bridge]\nSTP=yes\nForwardDelaySec=0\n");
    CHECK(host.read("etc/systemd/network/10-lodge-eth0.network") == "[Match]\nName=eth0\n\n[Network]\nBridge=br0\n");
}

TEST_CASE("what fails half way or is rolled back leaves files and kernel as they were", "[.][netns-rollback]") {
    Host host;
    host.write("etc/network/interfaces", interfaces_file);
    InterfaceDriver driver(host.paths());
    const auto before = host.run(driver.document("eth0", true));
    Netlink netlink;

    auto doomed = bridged(before);
    doomed.bridge->ports.emplace_back().name = "lo"; // no bridge takes the loopback: fails after eth0 has moved
    host.run(driver.define(doomed));
    CHECK_THROWS_AS(host.run(driver.create("br0")), rpc::Error);
    CHECK_FALSE(netlink.link("br0"));
    CHECK(netlink.link("eth0")->master == 0);
    CHECK(host.reachable("eth0") == host.all);
    CHECK(host.read("etc/network/interfaces") == interfaces_file);

    host.run(driver.change_begin());
    CHECK_THROWS_AS(host.run(driver.change_begin()), rpc::Error);
    host.run(driver.define(bridged(before)));
    host.run(driver.create("br0"));
    CHECK(host.reachable("br0") == host.all);
    InterfaceDriver restarted(host.paths()); // the daemon may be a new one by then
    host.run(restarted.change_rollback());
    CHECK_FALSE(netlink.link("br0"));
    CHECK(host.reachable("eth0") == host.all);
    CHECK(host.read("etc/network/interfaces") == interfaces_file);
    CHECK_THROWS_AS(host.run(restarted.change_commit()), rpc::Error);

    host.run(driver.change_begin());
    host.run(driver.define(bridged(before)));
    host.run(driver.create("br0"));
    host.run(driver.change_commit());
    CHECK(host.reachable("br0") == host.all);
    host.run(driver.change_begin());
    host.run(driver.destroy("br0"));
    host.run(driver.change_rollback());
    CHECK(host.reachable("br0") == host.all);
}

TEST_CASE("an interface that no file knows is bridged as it stands", "[.][netns-unconfigured]") {
    Host host;
    host.write("etc/network/interfaces", "auto lo\niface lo inet loopback\n");
    InterfaceDriver driver(host.paths());
    bridge_and_back(host, driver);

    if (std::system("ip link add link lo name probe type vlan id 1 2>/dev/null && ip link delete probe") != 0) {
        WARN("skipped: this kernel has no VLANs");
        return;
    }
    auto vlan = xml::parse_interface("<interface type='vlan' name='eth0.42'><start mode='onboot'/><protocol family='ipv4'>"
                                     "<ip address='203.0.113.1' prefix='24'/></protocol>"
                                     "<vlan tag='42'><interface name='eth0'/></vlan></interface>");
    host.run(driver.define(vlan));
    CHECK_FALSE(host.run(driver.by_name("eth0.42")).active);
    host.run(driver.create("eth0.42"));
    const auto live = host.run(driver.document("eth0.42", false));
    REQUIRE(live.vlan);
    CHECK(live.vlan->tag == "42");
    CHECK(live.vlan->device.name == "eth0");
    CHECK(live.protocol("ipv4")->ips[0].address.text() == "203.0.113.1");
    host.run(driver.destroy("eth0.42"));
    CHECK_THROWS_AS(host.run(driver.destroy("eth0.42")), rpc::Error);
    host.run(driver.undefine("eth0.42"));
    CHECK_THROWS_AS(host.run(driver.by_name("eth0.42")), rpc::Error);
}
