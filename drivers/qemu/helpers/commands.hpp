// What the helpers of a guest are run with: values, made from the document. Descriptors are the caller's and keep their numbers.
#pragma once
#include "drivers/process/command.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::drivers::qemu {

// ---- swtpm ----

struct SwtpmPlace {
    std::string state;     // LIB/swtpm/UUID/tpm2
    std::string log;       // its own words
    int listener = -1;     // QEMU connects here
    std::string permanent; // the file that shows that the state has been made
};
SwtpmPlace swtpm_place(const xml::Domain& domain, const xml::Tpm& tpm, const std::string& lib, const std::string& log);
// Makes the state of a new TPM: keys and certificates. `passphrase`: descriptors to read it from, -1: not encrypted.
Command swtpm_setup(const xml::Domain& domain, const xml::Tpm& tpm, const SwtpmPlace& place, int passphrase);
Command swtpm_pcr_banks(const xml::Tpm& tpm, const SwtpmPlace& place, int passphrase);
Command swtpm(const xml::Tpm& tpm, const SwtpmPlace& place, int passphrase, int migration_passphrase);

// ---- virtiofsd ----

// By QEMU's descriptors (/etc/qemu/vhost-user, /usr/share/qemu/vhost-user); empty: there is none. Reads files.
std::string find_virtiofsd();
Command virtiofsd(const std::string& program, const xml::Filesystem& filesystem, int listener);

// ---- passt ----

Command passt(const xml::Nic& nic, int connection);

} // namespace lodge::drivers::qemu
