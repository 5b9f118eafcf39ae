// What the rows of abi_words.cpp compare where it is not simply one fact's value: each makes a text of the facts at `path` and
// below.
#pragma once
#include "xml/domain/abi_words.hpp"

namespace lodge::xml {

// Where a device stands; empty when its address is of another type.
std::string pci_place(const GuestView& view, const std::string& path);
std::string drive_place(const GuestView& view, const std::string& path);
std::string serial_place(const GuestView& view, const std::string& path);
std::string ccid_place(const GuestView& view, const std::string& path);
std::string isa_place(const GuestView& view, const std::string& path);
std::string dimm_slot(const GuestView& view, const std::string& path);
std::string dimm_base(const GuestView& view, const std::string& path);

std::string presence(const GuestView& view, const std::string& path);     // "0" or "1"
std::string is_there(const GuestView& view, const std::string& path);     // whether anything stands at or below it
std::string is_specified(const GuestView& view, const std::string& path); // the same in words
std::string switch_state(const GuestView& view, const std::string& path);
std::string apic_state(const GuestView& view, const std::string& path);
std::string gic_state(const GuestView& view, const std::string& path);
std::string hpt_state(const GuestView& view, const std::string& path);
std::string hyperv_state(const GuestView& view, const std::string& path);
std::string amount(const GuestView& view, const std::string& path); // "48 MiB"

std::string initial_memory(const GuestView& view, const std::string& path); // without what is plugged in
std::string most_vcpus(const GuestView& view, const std::string& path);
std::string entry(const GuestView& view, const std::string& path); // of a sysinfo block: its last name's value
std::string controller_model(const GuestView& view, const std::string& path);
std::string known_nic_model(const GuestView& view, const std::string& path);
std::string unknown_nic_model(const GuestView& view, const std::string& path);
std::string input_model(const GuestView& view, const std::string& path);
std::string yes_no_number(const GuestView& view, const std::string& path);
std::string forwarded(const GuestView& view, const std::string& path);
std::string mebibytes(const GuestView& view, const std::string& path);
std::string msi(const GuestView& view, const std::string& path);
std::string pcr_banks(const GuestView& view, const std::string& path);

void check_distances(const GuestView& before, const GuestView& now);
void check_vcpus(const GuestView& before, const GuestView& now);

} // namespace lodge::xml
