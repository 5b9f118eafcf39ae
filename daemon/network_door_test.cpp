#include "daemon/config.hpp"
#include "daemon/network_door.hpp"
#include "tests/catch.hpp"

using namespace lodge::daemon;

TEST_CASE("names of certificates are allowed by pattern") {
    const std::string name = "C=DE,O=Lodge,CN=client";
    CHECK(is_allowed_name(name, {"*"}));
    CHECK(is_allowed_name(name, {"CN=other", name}));
    CHECK(is_allowed_name(name, {"*,CN=cl?ent"}));
    CHECK(is_allowed_name("O=Lodge\\, [Inc],CN=a", {"O=Lodge\\, [Inc],CN=*"}));
    CHECK_FALSE(is_allowed_name(name, {}));
    CHECK_FALSE(is_allowed_name(name, {"CN=client"}));
    CHECK_FALSE(is_allowed_name(name + ",X=1", {name}));
}

TEST_CASE("network settings have libvirt's names and defaults") {
    auto empty = ConfigFile::parse("", "f");
    const auto fresh = NetworkConfig::read(empty);
    CHECK(fresh.listen_tls);
    CHECK_FALSE(fresh.listen_tcp);
    CHECK(fresh.tls_port == "16514");
    CHECK(fresh.auth_tcp == "sasl");
    CHECK(fresh.tls_allowed_dn_list == std::vector<std::string>{"*"});
    auto file = ConfigFile::parse("listen_tcp = 1\ntcp_port = \"7\"\ntls_allowed_dn_list = []\ncrl_file = \"/c\"\n", "f");
    const auto set = NetworkConfig::read(file);
    CHECK(set.listen_tcp);
    CHECK(set.tcp_port == "7");
    CHECK(set.tls_allowed_dn_list.empty());
    CHECK(set.crl_required);
    CHECK(file.unknown().empty());
}
