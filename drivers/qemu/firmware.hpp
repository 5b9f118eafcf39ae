// UEFI images of the host, by the descriptors that QEMU's packages install (docs/interop/firmware.json), and the guests' own
// copies of their variables. Reads files: call it on the worker pool.
#pragma once
#include "drivers/process/command.hpp"
#include "xml/domain/domain.hpp"
#include <optional>
#include <set>

namespace lodge::drivers::qemu {

struct Firmware {
    std::string code, variables; // variables: the template
    std::string mode = "split";  // of flash: split, combined, stateless
    bool flash = true;           // else it is a ROM
    std::set<std::string> interfaces, features;
    std::vector<std::pair<std::string, std::string>> machines; // architecture, pattern

    bool has(const std::string& feature) const { return features.contains(feature); }
    bool is_efi() const { return flash && interfaces.contains("uefi"); }
    bool secure() const { return has("requires-smm"); } // its flash is written in system management mode alone
};

// In order of precedence: /etc before /usr, lower file names first; an administrator's empty file hides one of a package.
std::vector<Firmware> find_firmware(const std::string& root = "");
// What suits a guest that asks for <os firmware=''>; none: there is none.
std::optional<Firmware> choose_firmware(const std::vector<Firmware>& all, const xml::Domain& domain);
// Writes the choice into the document: loader, variables and what they need. Throws Code::operation_invalid when the document has
// turned that off.
void apply_firmware(xml::Domain& domain, const Firmware& firmware, const std::string& nvram_dir);
// The template of the variables that go with this code image, by the descriptors, else by `pairs` (code, template) of qemu.conf;
// empty: unknown.
std::string template_for(const std::vector<Firmware>& all, const std::vector<std::pair<std::string, std::string>>& pairs,
                         const std::string& code);

struct FirmwareWish {
    std::string nvram_dir;                                  // of guests that have no place of their own
    std::vector<std::pair<std::string, std::string>> pairs; // qemu.conf: code and template
    std::optional<Identity> identity;                       // whose the variables become
    bool reset = false;                                     // begin anew from the template
};
// Settles the firmware where the document leaves it open.
void settle_firmware(xml::Domain& domain, const FirmwareWish& wish);
// Makes the guest's own copy of the variables when it has none, or is to begin anew.
void prepare_variables(const xml::Domain& domain, const FirmwareWish& wish);

} // namespace lodge::drivers::qemu
