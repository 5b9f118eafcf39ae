// Real bridges, dnsmasq and nftables, in a network namespace of their own: the visible case runs this program again inside.
#include "drivers/host/netlink.hpp"
#include "drivers/network/dnsmasq_config.hpp"
#include "drivers/network/firewall.hpp"
#include "drivers/network/network_driver.hpp"
#include "drivers/process/process.hpp"
#include "rpc/finish_blocking.hpp"
#include "tests/catch.hpp"
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <csignal>
#include <fstream>
#include <iostream>
#include <unistd.h>

using namespace lodge;
using namespace lodge::drivers;
namespace fs = std::filesystem;

TEST_CASE("networks come up and go down in a world of their own") {
    if (geteuid() != 0 || std::system("unshare -mnpf --mount-proc true 2>/dev/null") != 0) {
        WARN("skipped: needs root and network namespaces");
        return;
    }
    if (!fs::exists("/usr/sbin/dnsmasq") || find_program("nft").empty()) {
        WARN("skipped: needs dnsmasq and nft");
        return;
    }
    const auto self = fs::read_symlink("/proc/self/exe").string();
    CHECK(std::system(("unshare -mnpf --kill-child --mount-proc '" + self + "' '[netns-network]' --durations no").c_str()) == 0);
}

namespace {

struct World {
    World() {
        fs::create_directories(folder);
        fs::permissions(folder, fs::perms(0755));
        paths.dnsmasq = folder / "dnsmasq";
        paths.run = folder / "run";
        const auto helper = fs::read_symlink("/proc/self/exe").parent_path() / "lodge_leaseshelper";
        if (fs::exists(helper)) paths.leases_helper = helper;
    }
    ~World() {
        rpc::finish_blocking();
        fs::remove_all(folder);
    }

    template<class T> T run(Task<T> task) {
        std::optional<T> result;
        finish(keep(std::move(task), result));
        return std::move(*result);
    }
    void run(Task<> task) { finish(std::move(task)); }
    void finish(Task<> task) {
        std::exception_ptr failure;
        bool done = false;
        boost::asio::co_spawn(context, std::move(task), [&](std::exception_ptr ended) { failure = ended, done = true; });
        while (!done) context.run_one(), context.restart();
        if (failure) std::rethrow_exception(failure);
    }
    template<class T> static Task<> keep(Task<T> task, std::optional<T>& result) { result = co_await std::move(task); }
    bool until(std::function<bool()> condition) {
        for (int i = 0; i < 200 && !condition(); ++i) run(rpc::sleep_for(std::chrono::milliseconds(20)));
        return condition();
    }

    boost::asio::io_context context;
    fs::path folder = fs::temp_directory_path() / fmt::format("lodge-network-{}", getpid());
    NetworkPaths paths;
};

xml::Network nat_network(const std::string& extra = {}, const std::string& options = {}) {
    auto network = xml::parse_network("<network><name>default</name><forward mode='nat'/><bridge name='virbr0'/>"
                                      "<ip address='192.168.122.1' netmask='255.255.255.0'><dhcp>"
                                      "<range start='192.168.122.2' end='192.168.122.254'/>" +
                                      extra +
                                      "</dhcp></ip><route address='10.9.0.0' prefix='16' gateway='192.168.122.7'/>"
                                      "<d:options xmlns:d='http://libvirt.org/schemas/network/dnsmasq/1.0'>" +
                                      options + "</d:options></network>");
    xml::complete_network(network);
    return network;
}

pid_t pid_in(const fs::path& file) {
    pid_t pid = 0;
    std::ifstream(file) >> pid;
    return pid;
}
bool table_there() {
    const auto tables = look_at_firewall().tables;
    return std::ranges::find(tables, "lodge_virbr0") != tables.end();
}
std::string text_of(const fs::path& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
}

} // namespace

TEST_CASE("a network starts, survives, changes and stops", "[.][netns-network]") {
    World world;
    auto network = nat_network();
    const auto files = dnsmasq_files(world.paths, network);
    auto driver = std::make_unique<NetworkDriver>(world.context.get_executor(), world.paths);
    CHECK(driver->pick_bridge_name({"virbr0"}) == "virbr1");

    const auto began = std::chrono::steady_clock::now();
    world.run(driver->start(network));
    std::cerr << "network started in "
              << std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began).count()
              << " us\n";

    Netlink netlink;
    const auto bridge = netlink.link("virbr0");
    REQUIRE(bridge);
    CHECK(bridge->kind == "bridge");
    CHECK(bridge->is_up());
    CHECK(bridge->stp == 1);
    CHECK(bridge->forward_delay == 200);
    CHECK(bridge->mac == network.mac->address->text());
    REQUIRE(netlink.addresses(bridge->index).size() == 1);
    CHECK(netlink.addresses(bridge->index)[0].address.text() == "192.168.122.1");
    const auto routes = netlink.routes();
    CHECK(std::ranges::any_of(routes,
                              [](const auto& route) { return route.destination.text() == "10.9.0.0" && route.metric == 1U; }));
    CHECK(text_of("/proc/sys/net/ipv6/conf/virbr0/disable_ipv6") == "1\n");
    CHECK(text_of("/proc/sys/net/ipv4/ip_forward") == "1\n");
    CHECK(table_there());
    const auto pid = pid_in(files.pid);
    CHECK(::kill(pid, 0) == 0);
    CHECK(driver->pick_bridge_name({}) == "virbr1");

    SECTION("guests plug in") {
        auto request = driver->tap_request(network, "");
        request.guest_mac = *xml::MacAddress::parse("52:54:00:11:22:33");
        request.queues = 2;
        request.isolated = true;
        auto tap = create_tap(request);
        CHECK(tap.name == "vnet0");
        CHECK(tap.queues.size() == 2);
        const auto link = netlink.link("vnet0");
        REQUIRE(link);
        CHECK(link->master == bridge->index);
        CHECK(link->mac == "fe:54:00:11:22:33");
        CHECK(link->is_up());
        CHECK(netlink.link("virbr0")->stp == 1);
        if (std::system("mount -t sysfs sysfs /sys 2>/dev/null") == 0) // forwards at once, in spite of STP
            CHECK(text_of("/sys/class/net/vnet0/brport/state") == "3\n");
        auto another = create_tap(driver->tap_request(network, ""));
        CHECK(another.name == "vnet1");
        remove_tap("vnet1");
        remove_tap("vnet1");
        CHECK_FALSE(netlink.link("vnet1"));
        tap.queues.clear();
        CHECK_FALSE(netlink.link("vnet0"));
        request.bridge = "nosuch";
        CHECK_THROWS_WITH(create_tap(request), "Cannot get interface MTU on 'nosuch': No such device");
    }
    SECTION("dnsmasq that dies is started again") {
        ::kill(pid, SIGKILL);
        CHECK(world.until([&] { return pid_in(files.pid) != pid && ::kill(pid_in(files.pid), 0) == 0; }));
    }
    SECTION("a new daemon takes it up") {
        driver = std::make_unique<NetworkDriver>(world.context.get_executor(), world.paths);
        CHECK(world.run(driver->adopt(network)));
        CHECK(pid_in(files.pid) == pid);
        ::kill(pid, SIGKILL);
        driver = std::make_unique<NetworkDriver>(world.context.get_executor(), world.paths);
        world.until([&] { return ::kill(pid, 0) != 0; });
        CHECK(world.run(driver->adopt(network)));
        CHECK(pid_in(files.pid) != pid);
    }
    SECTION("changes: hosts are read again, ranges need a new dnsmasq") {
        const auto host = nat_network("<host mac='52:54:00:00:00:01' ip='192.168.122.9' name='nine'/>");
        world.run(driver->update(network, host));
        CHECK(pid_in(files.pid) == pid);
        CHECK(text_of(files.hosts) == "52:54:00:00:00:01,192.168.122.9,nine\n");
        auto ranged = host;
        ranged.ips[0].dhcp->ranges[0].end = xml::IpAddress("192.168.122.99");
        world.run(driver->update(host, ranged));
        CHECK(pid_in(files.pid) != pid);
        CHECK(::kill(pid_in(files.pid), 0) == 0);
    }
    SECTION("somebody flushes the packet filter") {
        REQUIRE(std::system("nft flush ruleset") == 0);
        CHECK(world.until(table_there));
    }
    SECTION("a policy of iptables that drops is opened for the bridge, and closed again") {
        if (std::system("iptables -P FORWARD DROP && iptables -N DOCKER-USER && iptables -I FORWARD -j DOCKER-USER") == 0) {
            CHECK(world.until([] { return std::system("iptables -C DOCKER-USER -i virbr0 -j ACCEPT 2>/dev/null") == 0; }));
            world.run(driver->stop(network));
            CHECK(std::system("iptables -C DOCKER-USER -i virbr0 -j ACCEPT 2>/dev/null") != 0);
            world.run(driver->start(network));
            CHECK(std::system("iptables -C DOCKER-USER -o virbr0 -j ACCEPT 2>/dev/null") == 0);
        }
    }
    SECTION("a second network of the same addresses is refused") {
        auto other = nat_network();
        other.name = "other";
        other.bridge->name = "virbr1";
        CHECK_THROWS_WITH(world.run(driver->start(other)), "internal error: Network is already in use by interface virbr0");
        CHECK_FALSE(netlink.link("virbr1"));
    }
    world.run(driver->stop(network));
    CHECK_FALSE(netlink.link("virbr0"));
    CHECK_FALSE(table_there());
    CHECK_FALSE(fs::exists(files.pid));
    world.run(driver->stop(network)); // nothing left: no error
    world.run(driver->forget(network));
    CHECK(fs::is_empty(world.paths.dnsmasq));
}

TEST_CASE("a network that fails half way leaves nothing", "[.][netns-network]") {
    World world;
    NetworkDriver driver(world.context.get_executor(), world.paths);
    const auto network = nat_network("", "<d:option value='no-such-option=1'/>");
    try {
        world.run(driver.start(network));
        FAIL("started");
    } catch (const rpc::Error& error) {
        CHECK(error.code() == rpc::Code::internal_error);
        CHECK(error.message().find("bad option at line") != std::string::npos);
    }
    Netlink netlink;
    CHECK_FALSE(netlink.link("virbr0"));
    CHECK_FALSE(table_there());
    CHECK(world.run(driver.adopt(network)) == false);
    auto zone = nat_network();
    zone.bridge->zone = "myzone";
    CHECK_THROWS_WITH(world.run(driver.start(zone)),
                      "internal error: zone myzone requested for network default but firewalld is not active");
    CHECK_FALSE(netlink.link("virbr0"));
}
