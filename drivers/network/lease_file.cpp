#include "drivers/network/lease_file.hpp"
#include "rpc/error.hpp"
#include <algorithm>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <unistd.h>

namespace lodge::drivers {

using Json = nlohmann::ordered_json;

// The JSON's names, in the order of output; expiry-time stands apart, for it is a number.
static constexpr std::pair<const char*, std::string LeaseEntry::*> facts[] = {
    {"iaid", &LeaseEntry::iaid},         {"ip-address", &LeaseEntry::ip},       {"mac-address", &LeaseEntry::mac},
    {"hostname", &LeaseEntry::hostname}, {"client-id", &LeaseEntry::client_id}, {"server-duid", &LeaseEntry::server_duid},
};

std::vector<LeaseEntry> read_leases(const std::filesystem::path& file) {
    std::ostringstream text;
    if (std::ifstream in(file); in) text << in.rdbuf();
    if (text.str().find_first_not_of(" \n\t") == std::string::npos) return {};
    const auto json = Json::parse(text.str(), nullptr, false);
    if (!json.is_array()) rpc::fail(rpc::Code::internal_error, "invalid json in file: {}", file.string());
    std::vector<LeaseEntry> leases;
    for (const auto& each : json) {
        if (!each.is_object()) continue;
        LeaseEntry lease;
        for (const auto& [name, member] : facts)
            if (const auto at = each.find(name); at != each.end() && at->is_string()) lease.*member = at->get<std::string>();
        if (const auto at = each.find("expiry-time"); at != each.end() && at->is_number()) lease.expiry = at->get<std::int64_t>();
        if (!lease.ip.empty()) leases.push_back(std::move(lease));
    }
    return leases;
}

std::string format_leases(const std::vector<LeaseEntry>& leases) {
    auto json = Json::array();
    for (const auto& lease : leases) {
        Json each;
        for (const auto& [name, member] : facts)
            if (!(lease.*member).empty()) each[name] = lease.*member;
        each["expiry-time"] = lease.expiry;
        json.push_back(std::move(each));
    }
    return json.dump(2) + "\n";
}

static void replace_file(const std::filesystem::path& file, const std::string& text) {
    const auto aside = file.string() + ".new";
    std::ofstream out(aside, std::ios::trunc);
    out << text;
    out.close();
    if (!out || std::rename(aside.c_str(), file.c_str()) != 0) {
        const int error = errno;
        ::unlink(aside.c_str());
        rpc::fail_errno(error, fmt::format("cannot write leases to '{}'", file.string()));
    }
}

// dnsmasq keeps no lease file of its own (--leasefile-ro): after a start it reads its leases from us.
static std::string leases_for_dnsmasq(const std::vector<LeaseEntry>& leases) {
    std::string out, v6, duid;
    for (const auto& lease : leases) {
        const auto line =
            fmt::format("{} {} {} {} {}\n", lease.expiry, lease.is_v6() ? lease.iaid : lease.mac, lease.ip,
                        lease.hostname.empty() ? "*" : lease.hostname, lease.client_id.empty() ? "*" : lease.client_id);
        (lease.is_v6() ? v6 : out) += line;
        if (!lease.server_duid.empty()) duid = lease.server_duid;
    }
    if (!duid.empty()) out += fmt::format("duid {}\n{}", duid, v6);
    return out;
}

int lease_helper(const std::vector<std::string>& args, const std::function<const char*(const char*)>& env, std::string& out) {
    const auto variable = [&](const char* name) { return std::string(env(name) ? env(name) : ""); };
    const std::string file = variable("LODGE_LEASE_FILE");
    if (file.empty() || args.empty()) return 1;
    const auto& action = args[0];
    if (action == "init") {
        auto leases = read_leases(file);
        std::erase_if(leases, [](const LeaseEntry& each) { return each.expiry != 0 && each.expiry < std::time(nullptr); });
        out = leases_for_dnsmasq(leases);
        return 0;
    }
    if (args.size() < 3 || (action != "add" && action != "old" && action != "del")) return 0; // "tftp", "arp-add"…

    LeaseEntry lease;
    lease.ip = args[2];
    // For IPv6 the first argument is the client's DUID, and its MAC stands in the environment where it is known.
    lease.mac = lease.is_v6() ? variable("DNSMASQ_MAC") : args[1];
    lease.client_id = lease.is_v6() ? args[1] : variable("DNSMASQ_CLIENT_ID");
    lease.hostname = args.size() > 3 ? args[3] : variable("DNSMASQ_OLD_HOSTNAME");
    lease.iaid = variable("DNSMASQ_IAID");
    lease.server_duid = variable("DNSMASQ_SERVER_DUID");
    const auto expires = variable("DNSMASQ_LEASE_EXPIRES");
    lease.expiry = expires.empty() ? 0 : std::atoll(expires.c_str());

    auto leases = read_leases(file);
    const auto before = format_leases(leases);
    const auto old = std::ranges::find(leases, lease.ip, &LeaseEntry::ip);
    if (old != leases.end()) {
        if (lease.mac.empty()) lease.mac = old->mac; // not every message of a client carries it
        leases.erase(old);
    }
    if (action != "del") leases.push_back(lease);
    if (const auto after = format_leases(leases); after != before) replace_file(file, after);
    return 0;
}

} // namespace lodge::drivers
