#include "drivers/qemu/helpers/commands.hpp"

namespace lodge::drivers::qemu {

namespace {

bool is_tpm2(const xml::Tpm& tpm) { return tpm.version != xml::TpmVersion::v1_2; }

void pass(Command& command, int fd) { command.fds.push_back({fd, fd}); }

Command setup_base(const xml::Tpm& tpm, const SwtpmPlace& place, int passphrase) {
    Command command;
    command.program = "swtpm_setup";
    if (is_tpm2(tpm)) command.args.emplace_back("--tpm2");
    command.args.insert(command.args.end(), {"--tpm-state", place.state});
    if (passphrase >= 0) {
        command.args.insert(command.args.end(), {"--pwdfile-fd", std::to_string(passphrase), "--cipher", "aes-256-cbc"});
        pass(command, passphrase);
    }
    return command;
}

} // namespace

SwtpmPlace swtpm_place(const xml::Domain& domain, const xml::Tpm& tpm, const std::string& lib, const std::string& log) {
    SwtpmPlace place;
    place.state = fmt::format("{}/swtpm/{}/{}", lib, domain.uuid.text(), is_tpm2(tpm) ? "tpm2" : "tpm1.2");
    place.log = fmt::format("{}/qemu/{}-swtpm.log", log, domain.name);
    place.permanent = fmt::format("{}/{}", place.state, is_tpm2(tpm) ? "tpm2-00.permall" : "tpm-00.permall");
    return place;
}

Command swtpm_setup(const xml::Domain& domain, const xml::Tpm& tpm, const SwtpmPlace& place, int passphrase) {
    Command command = setup_base(tpm, place, passphrase);
    const std::string id = fmt::format("{}:{}", domain.name, domain.uuid.text());
    command.args.insert(command.args.end(), {"--vmid", id, "--createek", "--create-ek-cert", "--create-platform-cert",
                                             "--lock-nvram", "--not-overwrite"});
    return command;
}

Command swtpm_pcr_banks(const xml::Tpm& tpm, const SwtpmPlace& place, int passphrase) {
    Command command = setup_base(tpm, place, passphrase);
    std::string banks;
    const auto add = [&](bool active, const char* name) {
        if (active) banks += (banks.empty() ? "" : ",") + std::string(name);
    };
    add(tpm.sha1, "sha1");
    add(tpm.sha256, "sha256");
    add(tpm.sha384, "sha384");
    add(tpm.sha512, "sha512");
    command.args.insert(command.args.end(), {"--pcr-banks", banks, "--reconfigure"});
    return command;
}

Command swtpm(const xml::Tpm& tpm, const SwtpmPlace& place, int passphrase, int migration_passphrase) {
    Command command;
    command.program = "swtpm";
    command.log_file = place.log;
    command.args = {"socket",
                    "--ctrl",
                    fmt::format("type=unixio,fd={}", place.listener),
                    "--tpmstate",
                    fmt::format("dir={},mode=0600", place.state),
                    "--terminate"};
    pass(command, place.listener);
    if (is_tpm2(tpm)) command.args.emplace_back("--tpm2");
    if (passphrase >= 0) {
        command.args.insert(command.args.end(), {"--key", fmt::format("pwdfd={},mode=aes-256-cbc", passphrase), "--migration-key",
                                                 fmt::format("pwdfd={},mode=aes-256-cbc", migration_passphrase)});
        pass(command, passphrase);
        pass(command, migration_passphrase);
    }
    return command;
}

} // namespace lodge::drivers::qemu
