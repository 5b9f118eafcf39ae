// What a domain document must not get wrong by itself, whatever runs the guest, in libvirt's words. Descriptions ask for it while
// they are read (Doc::check), so that the first mistake in libvirt's order of reading is the one that is told; check_domain() is
// what shows only when devices have their defaults. What a complete document must not get wrong stands in validate.hpp.
#pragma once
#include "xml/domain/domain.hpp"
#include "xml/number_set.hpp"

namespace lodge::xml {

// Drivers ask when they have filled in defaults and before they give addresses.
void check_domain(const Domain& domain);
// And when devices have their addresses.
void check_name(const Domain& domain);

// Of a domain as it is read; each is a part's, as check_parts() says.
void check_parts(Doc& doc, const Domain& domain);
void check_blkio(const Domain& domain); // check_tuning.cpp
void check_cells(const Domain& domain);
void check_cpu_tune(const Domain& domain);
void check_resource_groups(const Domain& domain); // check_resource_groups.cpp
void check_numa_tune(const Domain& domain);
void check_huge_pages(const Domain& domain);
void check_perf(const Domain& domain);
void check_architecture(const Domain& domain); // check_os.cpp
void check_firmware_features(const Domain& domain);
void check_acpi_tables(const Domain& domain);
void check_sysinfo(const Domain& domain);
void check_features(const Domain& domain);
void check_guest_cpu(const Domain& domain);
void check_clock(const Domain& domain);
void check_usb_controllers(const Domain& domain); // check_devices.cpp
void check_usb_inputs(const Domain& domain);
void check_usb_hostdevs(const Domain& domain);
void check_usb_hubs(const Domain& domain);
void check_hmat(const Cpu& cpu); // check_numa.cpp

// Of one device as it is read.
void check_disk(Doc& doc, const Disk& disk);          // check_disks.cpp
void check_hostdev(Doc& doc, const Hostdev& hostdev); // check_hostdevs.cpp
void check_nic(Doc& doc, Nic& nic);                   // check_devices.cpp, as all others
void check_serial(Doc& doc, const Serial& serial);
void check_channel(Doc& doc, const Channel& channel);
void check_forward(const std::string& address); // where guestfwd leads
void check_ends(Doc& doc, const CharSource& source);
void check_smartcard(Doc& doc, const Smartcard& smartcard);
void check_rng(Doc& doc, const Rng& rng);
void check_tpm(Doc& doc, const Tpm& tpm);
void check_filesystem(Doc& doc, const Filesystem& fs);
void check_input(Doc& doc, const Input& input);
void check_graphics(Doc& doc, const Graphics& graphics);
void check_audio(Doc& doc, const Audio& audio);
void check_memory(Doc& doc, const MemoryDevice& memory);
void check_shmem(Doc& doc, const Shmem& shmem);
void check_lease(Doc& doc, const Lease& lease);
// Parts of sources, of disks and of the host's devices.
void check_hosts(const std::vector<SourceHost>& hosts);
void check_auth(const StorageAuth& auth);
void check_source(const StorageSource& source);
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
// Refuses a word that is none of those known, as the reader does for enumerations.
void check_enumerated(const char* attribute, const char* element, std::string_view value,
                      std::initializer_list<std::string_view> known);

} // namespace lodge::xml
