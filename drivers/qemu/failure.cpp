#include "drivers/qemu/failure.hpp"
#include "drivers/host/sysfs.hpp"
#include "rpc/log.hpp"
#include "rpc/task.hpp"
#include <fcntl.h>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace lodge::drivers::qemu {

namespace {

struct Known {
    std::string_view sign; // in QEMU's words
    std::string_view cause, remedy;
};
constexpr Known known[] = {
    {"Failed to get \"write\" lock", "another process has the image open for writing",
     "end the other guest, or make the disk <shareable/> or <readonly/> in all of them"},
    {"Failed to get shared \"write\" lock", "another process has the image open for writing",
     "end the other guest, or make the disk <shareable/> or <readonly/> in all of them"},
    {"Permission denied", "QEMU's user may not open a file",
     "move it below /var/lib/libvirt/images, or give QEMU's user the rights named"},
    {"No such file or directory", "a file that the document names is not there", "put it there, or correct its path"},
    {"Address already in use", "a port or socket that the document names is taken",
     "choose another one, or leave the choice to the daemon (port='-1')"},
    {"Could not access KVM kernel module", "this host offers no KVM",
     "turn on virtualisation in its firmware and load kvm_intel or kvm_amd, or use type='qemu'"},
    {"Cannot allocate memory", "the host has not enough free memory", "lower <memory>, or end other guests"},
    {"cannot set up guest memory", "the host has not enough free memory", "lower <memory>, or end other guests"},
    {"is not a valid device model name", "this QEMU has no such device",
     "install the package that brings it, or choose another model"},
    {"Unknown driver", "this QEMU cannot reach such storage", "install qemu-block-extra, or use storage of another kind"},
    {"Unknown protocol", "this QEMU cannot reach such storage", "install qemu-block-extra, or use storage of another kind"},
    {"Image is not in", "the image is of another format than the document says",
     "correct <driver type=''>; qemu-img info tells it"},
    {"does not support machine type", "this QEMU has no such machine type", "choose one that virsh capabilities lists"},
};

} // namespace

void explain(StartFailure& failure) {
    const std::string text = failure.words.empty() ? failure.error : failure.words;
    for (const auto& row : known) {
        if (!text.contains(row.sign)) continue;
        if (failure.cause.empty()) failure.cause = row.cause;
        failure.remedy = row.remedy;
        return;
    }
}

std::string failure_path(const std::string& lib, const std::string& domain) {
    return fmt::format("{}/qemu/failed/{}.json", lib, domain);
}

void keep_failure(const std::string& path, const StartFailure& failure) {
    const nlohmann::ordered_json json = {{"when", failure.when},   {"phase", failure.phase},    {"error", failure.error},
                                         {"cause", failure.cause}, {"remedy", failure.remedy},  {"exit", failure.exit},
                                         {"words", failure.words}, {"command", failure.command}};
    const std::string text = json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
    const rpc::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        log::warn("cannot keep why a start failed in '{}'", path);
}

void forget_failure(const std::string& path) { ::unlink(path.c_str()); }

std::vector<std::string> failure_messages(const std::string& path) {
    const auto json = nlohmann::json::parse(read_small_file(path), nullptr, false);
    if (!json.is_object()) return {};
    const auto line = [&](const char* key) { return json.value(key, ""); };
    std::vector<std::string> lines{fmt::format("last start failed: {} ({}): {}", line("when"), line("phase"), line("error"))};
    if (const auto cause = line("cause"); !cause.empty()) lines.push_back("last start failed, likely cause: " + cause);
    if (const auto remedy = line("remedy"); !remedy.empty()) lines.push_back("last start failed, remedy: " + remedy);
    return lines;
}

} // namespace lodge::drivers::qemu
