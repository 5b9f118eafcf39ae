// What a domain document must not get wrong by itself, whatever runs the guest, in libvirt's words. parse_domain() asks for all
// of it. What shows only when defaults are filled in is asked later (validate.hpp).
#pragma once
#include "xml/domain/domain.hpp"
#include "xml/number_set.hpp"

namespace lodge::xml {

void check_domain(const Domain& domain);

// Parts of it.
void check_tuning(const Domain& domain); // cputune, numatune, memoryBacking, blkiotune, guest NUMA
void check_hmat(const Cpu& cpu);
void check_os(const Domain& domain);    // os, sysinfo, features, cpu, clock
void check_disks(const Domain& domain); // disks and what they read from
void check_hostdev_sources(const Domain& domain);
void check_devices(const Domain& domain); // all other devices
// Parts of sources, of disks and of the host's devices.
void check_hosts(const std::vector<SourceHost>& hosts);
void check_auth(const StorageAuth& auth);
bool is_secret_usage(std::string_view type);

template<class... Args> [[noreturn]] void unsupported(fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(From::domain, Code::config_unsupported, format, std::forward<Args>(args)...);
}
template<class... Args> [[noreturn]] void broken(fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(From::domain, Code::xml_error, format, std::forward<Args>(args)...);
}
template<class... Args> [[noreturn]] void inconsistent(fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(From::domain, Code::xml_detail, format, std::forward<Args>(args)...);
}
template<class... Args> [[noreturn]] void malformed(fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(From::domain, Code::internal_error, format, std::forward<Args>(args)...);
}
// The numbers that `text` names; refuses what is malformed, and an empty set as value of `what` when that has a name.
NumberSet numbers_of(const std::string& text, const char* what);

} // namespace lodge::xml
