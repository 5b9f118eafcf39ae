#include "drivers/nwfilter/match_expression.hpp"
#include "drivers/nwfilter/packet_filter.hpp"
#include "rpc/error.hpp"
#include "tests/catch.hpp"
#include "tests/corpus.hpp"
#include <cstdio>
#include <unistd.h>

using namespace lodge;
using namespace lodge::drivers;

namespace {

using Filters = std::map<std::string, xml::Filter>;

FilterLookup lookup_in(const Filters& filters) {
    return [&filters](const std::string& name) {
        const auto found = filters.find(name);
        return found == filters.end() ? nullptr : &found->second;
    };
}

Filters shipped() {
    Filters filters;
    const auto folder = std::filesystem::path(LODGE_SOURCE_DIR) / "packaging/config/nwfilter";
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        auto filter = xml::parse_filter(corpus::slurp(entry.path()));
        filters[filter.name] = filter;
    }
    return filters;
}

const FilterVariables guest = {{"MAC", {"52:54:00:00:00:01"}},
                               {"IP", {"10.0.0.5", "10.0.0.6"}},
                               {"IPV6", {"2001:db8::5"}},
                               {"DHCPSERVER", {"10.0.0.1"}},
                               {"GATEWAY_MAC", {"52:54:00:00:00:fe"}}};

std::string rules_of(const std::string& entries, const FilterVariables& variables = guest) {
    Filters filters;
    filters["n"] = xml::parse_filter("<filter name='n'>" + entries + "</filter>");
    return packet_filter_rules("vnet0", "52:54:00:00:00:01", expand_filter("n", variables, lookup_in(filters)));
}

bool nft_takes(const std::string& ruleset, const char* quiet = "") {
    FILE* nft = popen((std::string("unshare -n nft -c -f - ") + quiet).c_str(), "w");
    if (!nft) return false;
    fwrite(ruleset.data(), 1, ruleset.size(), nft);
    return pclose(nft) == 0;
}

// nft's own word on a ruleset, in a network of its own. True also where it cannot be asked: without rights, or where the kernel
// does not track connections on bridges and the ruleset needs that.
bool nft_accepts(const std::string& ruleset) {
    static const bool usable = geteuid() == 0 && nft_takes("add table bridge t\n", "2>/dev/null");
    static const bool tracks = usable && nft_takes("table bridge t {\nchain c {\nct state new accept\n}\n}\n", "2>/dev/null");
    if (!usable || (!tracks && ruleset.find(" ct ") != std::string::npos)) return true;
    return nft_takes(ruleset);
}

} // namespace

TEST_CASE("filters that are shipped come to rules that nft takes") {
    const auto filters = shipped();
    CHECK(filters.size() == 24);
    std::string all;
    for (const auto& [name, filter] : filters) {
        INFO(name);
        auto variables = guest;
        if (name == "allow-dhcpv6-server") variables["DHCPSERVER"] = {"2001:db8::1"};
        const auto text = packet_filter_rules("vnet0", "52:54:00:00:00:01", expand_filter(name, variables, lookup_in(filters)));
        INFO(text);
        CHECK(nft_accepts(text));
    }
}

TEST_CASE("clean-traffic lets out what is the guest's own") {
    const auto filters = shipped();
    const auto text =
        packet_filter_rules("vnet0", "52:54:00:00:00:01", expand_filter("clean-traffic", guest, lookup_in(filters)));
    INFO(text);
    const auto has = [&](const char* line) { CHECK(text.find(line) != std::string::npos); };
    has("ether saddr 52:54:00:00:00:01 return");
    has("ether type 0x0800 ip saddr 10.0.0.5 return");
    has("ether type 0x0800 ip saddr 10.0.0.6 return");
    has("ether type 0x0806 @nh,64,48 0x525400000001 return");
    has("iifname \"vnet0\" jump out_root");
    // Chains and rules of the root chain stand by priority.
    CHECK(text.find("jump out_mac\n") < text.find("jump out_ipv4-ip\n"));
    CHECK(text.find("jump out_ipv4-ip\n") < text.find("jump out_arp-mac\n"));
}

TEST_CASE("an address that nobody named is learned from the guest") {
    const auto filters = shipped();
    auto variables = guest;
    variables.erase("IP");
    CHECK(missing_variables("clean-traffic", variables, lookup_in(filters)) == std::set<std::string>{"IP"});
    variables["IP"] = {learned_address};
    const auto text =
        packet_filter_rules("vnet0", "52:54:00:00:00:01", expand_filter("clean-traffic", variables, lookup_in(filters)));
    INFO(text);
    CHECK(text.find("ip saddr @learned return") != std::string::npos);
    CHECK(text.find("arp saddr ip @learned return") != std::string::npos);
    CHECK(nft_accepts(text));
}

TEST_CASE("lists of variables are processed side by side or in every combination") {
    const FilterVariables variables = {{"A", {"10.0.0.1", "10.0.0.2"}}, {"B", {"10.0.1.1", "10.0.1.2"}}, {"C", {"10.0.2.1"}}};
    const auto count = [&](const std::string& entries) {
        Filters filters;
        filters["n"] = xml::parse_filter("<filter name='n'><rule action='drop' direction='in'>" + entries + "</rule></filter>");
        return expand_filter("n", variables, lookup_in(filters)).size();
    };
    CHECK(count("<ip srcipaddr='$A' dstipaddr='$B'/>") == 2);
    CHECK(count("<ip srcipaddr='$A' dstipaddr='$B[@1]'/>") == 4);
    CHECK(count("<ip srcipaddr='$A[1]'/>") == 1);
    CHECK_THROWS_AS(count("<ip srcipaddr='$A' dstipaddr='$C'/>"), rpc::Error);
    CHECK_THROWS_AS(count("<ip srcipaddr='$C[1]'/>"), rpc::Error);
    CHECK_THROWS_AS(count("<ip srcipaddr='$D'/>"), rpc::Error);
}

TEST_CASE("answers of a connection come back") {
    const auto text = rules_of("<rule action='accept' direction='out'><tcp dstportstart='80'/></rule>"
                               "<rule action='drop' direction='inout'><all/></rule>");
    INFO(text);
    CHECK(text.find("meta l4proto 6 th dport 80 ct state { new, established } accept") != std::string::npos);
    CHECK(text.find("meta l4proto 6 th sport 80 ct state established accept") != std::string::npos);
    CHECK(nft_accepts(text));
}

TEST_CASE("every kind of rule of the corpus comes to rules that nft takes", "[corpus]") {
    const FilterVariables variables = {
        {"MAC", {"52:54:00:00:00:01"}}, {"IP", {"10.0.0.5"}}, {"A", {"1.1.1.1"}}, {"B", {"2.2.2.2"}}, {"C", {"3.3.3.3"}}};
    for (const char* folder : {"nwfilterxml2xmlin", "nwfilterxml2firewalldata"})
        for (const auto& stem : corpus::stems(folder)) {
            if (corpus::slurp(stem.string() + ".out.xml").empty()) continue;
            INFO(stem);
            std::string text;
            try {
                auto filter = xml::parse_filter(corpus::slurp(stem.string() + ".in.xml"));
                const Filters filters = {{filter.name, filter}};
                text =
                    packet_filter_rules("vnet0", "52:54:00:00:00:01", expand_filter(filter.name, variables, lookup_in(filters)));
            } catch (const rpc::Error&) {
                continue; // variables that are not given here, sets, gratuitous ARP
            }
            INFO(text);
            CHECK(nft_accepts(text));
        }
}
