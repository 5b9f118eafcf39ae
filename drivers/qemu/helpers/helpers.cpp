#include "drivers/qemu/helpers/helpers.hpp"
#include "drivers/host/sysfs.hpp"
#include "drivers/qemu/helpers/commands.hpp"
#include "drivers/qemu/host_side.hpp"
#include <cerrno>
#include <filesystem>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace lodge::drivers::qemu {

namespace {

// A folder with its owner, and what leads to it, which others may pass through but not look into.
void make_state_dir(const std::string& path, const std::optional<Identity>& identity) {
    const fs::path parent = fs::path(path).parent_path();
    std::error_code ignored;
    if (fs::create_directories(parent, ignored)) ::chmod(parent.c_str(), 0711);
    if (::mkdir(path.c_str(), 0700) < 0 && errno != EEXIST)
        rpc::fail_errno(errno, fmt::format("Could not create directory {}", path));
    if (identity && ::chown(path.c_str(), identity->uid, identity->gid) < 0)
        rpc::fail_errno(errno, fmt::format("Could not change the owner of {}", path));
}

std::string end_of(const std::string& log) {
    constexpr std::size_t limit = 512;
    std::string text = read_small_file(log);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text.size() > limit ? text.substr(text.size() - limit) : text;
}

} // namespace

int Helpers::keep(Fd fd) { return fds_.emplace_back(std::move(fd)).get(); }

// In memory, never in a file or on a command line. Each reader needs one of its own: they share the position.
int Helpers::passphrase(const std::string& plain) {
    if (plain.empty()) return -1;
    Fd fd(::memfd_create("passphrase", MFD_CLOEXEC));
    if (!fd || ::write(fd.get(), plain.data(), plain.size()) != static_cast<ssize_t>(plain.size()) ||
        ::lseek(fd.get(), 0, SEEK_SET) != 0)
        rpc::fail_errno(errno, "cannot hand over a passphrase");
    return keep(std::move(fd));
}

void Helpers::run(std::string name, const Command& command) {
    if (find_program(command.program).empty())
        rpc::fail(Code::operation_unsupported, "'{}' is needed for guest '{}' and is not installed", command.program,
                  domain_.name);
    auto process = Process::start(world_->executor, command);
    runtime_.helpers.push_back({name, process->pid(), process->start_time()});
    running_.push_back({std::move(name), std::move(process), command.log_file});
}

Task<> Helpers::start_tpm(const xml::Tpm& tpm) {
    SwtpmPlace place = swtpm_place(domain_, tpm, world_->paths.lib, world_->paths.log);
    std::string plain;
    if (!tpm.encryption_secret.is_nil()) {
        xml::SecretReference reference;
        reference.type = "vtpm";
        reference.uuid = tpm.encryption_secret;
        if (!context_.secret_value) rpc::fail(Code::no_secret, "no secret with matching uuid '{}'", reference.uuid.text());
        plain = context_.secret_value(reference);
    }
    bool is_new = false;
    const std::string socket = fmt::format("{}/qemu/swtpm/{}-swtpm.sock", world_->paths.run, short_name(domain_, context_.id));
    co_await rpc::blocking([&] {
        make_state_dir(place.state, world_->swtpm_identity);
        is_new = !fs::exists(place.permanent);
        place.listener = keep(listen_on(socket, runtime_.identity));
    });
    runtime_.made.push_back(socket);
    if (is_new) {
        Command setup = swtpm_setup(domain_, tpm, place, passphrase(plain));
        setup.identity = world_->swtpm_identity;
        co_await run_checked(setup);
    }
    if (tpm.has_active_pcr_banks) {
        Command banks = swtpm_pcr_banks(tpm, place, passphrase(plain));
        banks.identity = world_->swtpm_identity;
        co_await run_checked(banks);
    }
    Command command = swtpm(tpm, place, passphrase(plain), passphrase(plain));
    command.identity = world_->swtpm_identity;
    run("swtpm", command);
    context_.helper_sockets[tpm.info.alias] = socket;
}

Task<> Helpers::start_virtiofs(const xml::Filesystem& filesystem) {
    std::string program = filesystem.binary.path;
    const std::string socket = fmt::format("{}/{}-fs.sock", runtime_.domain_dir, filesystem.info.alias);
    int listener = -1;
    co_await rpc::blocking([&] {
        if (program.empty()) program = find_virtiofsd();
        if (!program.empty()) listener = keep(listen_on(socket, runtime_.identity));
    });
    if (program.empty()) rpc::fail(Code::operation_failed, "Unable to find a satisfying virtiofsd");
    Command command = virtiofsd(program, filesystem, listener);
    command.log_file = fmt::format("{}/qemu/{}-{}-virtiofsd.log", world_->paths.log, domain_.name, filesystem.info.alias);
    run("virtiofsd", command);
    context_.helper_sockets[filesystem.info.alias] = socket;
}

void Helpers::start_passt(const xml::Nic& nic) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) rpc::fail_errno(errno, "cannot create socket pair");
    context_.nics[nic.info.alias].passt = keep(Fd(ends[0]));
    Command command = passt(nic, keep(Fd(ends[1])));
    command.identity = runtime_.identity;
    command.log_file = fmt::format("{}/qemu/{}-{}-passt.log", world_->paths.log, domain_.name, nic.info.alias);
    run("passt", command);
}

Task<> Helpers::start() {
    for (const auto& tpm : domain_.devices.tpms)
        if (tpm.backend == xml::TpmBackendType::emulator) co_await start_tpm(tpm);
    for (const auto& filesystem : domain_.devices.filesystems)
        if (filesystem.driver == xml::FilesystemDriver::virtiofs && filesystem.socket.empty())
            co_await start_virtiofs(filesystem);
    for (const auto& nic : domain_.devices.interfaces)
        if (nic.type == xml::NicType::user && nic.backend.type == xml::NicBackendType::passt) start_passt(nic);
}

std::string Helpers::last_words() const {
    for (const auto& [name, process, log] : running_) {
        if (process->running() || process->exit().success()) continue;
        const std::string words = log.empty() ? "" : end_of(log);
        return fmt::format("{} ended with {}{}{}", name, process->exit().text(), words.empty() ? "" : ": ", words);
    }
    return {};
}

} // namespace lodge::drivers::qemu
