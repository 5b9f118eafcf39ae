// The files that dnsmasq reads, as text: pure functions of the document, compared with libvirt's own in the tests.
#pragma once
#include "xml/network.hpp"
#include <filesystem>

namespace lodge::drivers {

struct NetworkPaths;

struct DnsmasqFiles {
    std::filesystem::path conf, hosts, additional_hosts, pid, status, macs;
};
DnsmasqFiles dnsmasq_files(const NetworkPaths& paths, const xml::Network& network);

// Whether anything is left for dnsmasq to do.
bool needs_dnsmasq(const xml::Network& network);
std::string dnsmasq_conf(const xml::Network& network, const DnsmasqFiles& files);
// Fixed addresses of guests, one per line.
std::string dnsmasq_hosts(const xml::Network& network);
// <dns><host>: addresses and names.
std::string dnsmasq_additional_hosts(const xml::Network& network);

} // namespace lodge::drivers
