// BRIDGE.status: the leases of a bridge as JSON, in libvirt's form, so that libnss-libvirt finds guests by their names. Written
// by the program that dnsmasq runs for each change (lodge_leaseshelper: a thin main around lease_helper); read by the driver.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace lodge::drivers {

struct LeaseEntry {
    std::string ip, mac, hostname, client_id, iaid, server_duid;
    std::int64_t expiry = 0; // 0: never

    bool is_v6() const { return ip.find(':') != std::string::npos; }
};

// A missing or empty file has no leases; a broken one throws Code::internal_error.
std::vector<LeaseEntry> read_leases(const std::filesystem::path& file);
std::string format_leases(const std::vector<LeaseEntry>& leases);

// What dnsmasq calls: ACTION [MAC|DUID IP [HOSTNAME]], the rest in DNSMASQ_… variables. `out`: what dnsmasq wants to read back
// ("init" asks for all leases). Returns the exit status.
int lease_helper(const std::vector<std::string>& args, const std::function<const char*(const char*)>& env, std::string& out);

} // namespace lodge::drivers
