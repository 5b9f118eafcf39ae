// The emulators that tests complete documents for.
#pragma once
#include "drivers/qemu/command_line/command_line.hpp"
#include "drivers/qemu/complete/complete.hpp"
#include "drivers/qemu/complete/context.hpp"
#include "rpc/error.hpp"

namespace lodge::drivers::qemu {

inline MachineProfile machine(const std::string& name, const std::string& alias, const std::string& cpu,
                              bool is_default = false) {
    return {name, alias, cpu, alias == "q35" ? 288u : 255u, is_default};
}

inline EmulatorProfile emulator(const std::string& path, const std::string& arch, const std::string& cpu, bool migratable) {
    EmulatorProfile profile;
    profile.path = path;
    profile.arch = arch;
    profile.migratable_cpu = migratable;
    profile.machines = {machine("pc-i440fx-7.2", "pc", cpu, true), machine("pc-q35-7.2", "q35", cpu)};
    for (const char* version : {"1.4", "2.1", "2.3", "2.5", "2.9", "2.12", "4.0", "4.2", "5.0", "7.0"}) {
        profile.machines.push_back(machine(std::string("pc-i440fx-") + version, "", cpu));
        profile.machines.push_back(machine(std::string("pc-q35-") + version, "", cpu));
    }
    return profile;
}

// Debian 12's QEMU 7.2, as it was where libvirtd's answers were recorded.
inline CompleteContext debian_context() {
    CompleteContext ctx;
    ctx.emulators = {emulator("/usr/bin/qemu-system-x86_64", "x86_64", "qemu64", true),
                     emulator("/usr/bin/qemu-system-i386", "i686", "qemu32", false)};
    ctx.firmwares = {"bios"};
    return ctx;
}

// The whole way of a document but for a start: read, completed, written; and a command line is built of it. Throws rpc::Error for
// what is refused.
inline std::string completed_form(std::string_view text, const CompleteContext& ctx) {
    auto domain = xml::parse_domain(text, {});
    complete(domain, ctx);
    auto form = xml::format_domain(domain, {.live = false, .secret = true});
    BuildContext names;
    names.display = true;
    assign_aliases(domain);
    try {
        build(domain, names);
    } catch (const rpc::Error&) { // known only when it starts
    }
    return form;
}

} // namespace lodge::drivers::qemu
