#include "drivers/host/sysfs.hpp"
#include "drivers/qemu/helpers/commands.hpp"
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

namespace fs = std::filesystem;

namespace lodge::drivers::qemu {

std::string find_virtiofsd() {
    std::map<std::string, std::string> files; // by name: /etc hides /usr
    for (const char* folder : {"/etc/qemu/vhost-user", "/usr/share/qemu/vhost-user"}) {
        std::error_code ignored;
        for (const auto& entry : fs::directory_iterator(folder, ignored))
            if (entry.path().extension() == ".json") files.emplace(entry.path().filename(), entry.path());
    }
    for (const auto& [name, path] : files) {
        const auto text = nlohmann::json::parse(read_small_file(path), nullptr, false);
        if (!text.is_object() || text.value("type", "") != "fs") continue;
        if (auto program = find_program(text.value("binary", "")); !program.empty()) return program;
    }
    return {};
}

namespace {

std::string without_commas(std::string_view path) {
    std::string text;
    for (const char c : path) {
        text += c;
        if (c == ',') text += c;
    }
    return text;
}

void add_switch(std::string& options, const char* name, const std::optional<xml::OnOff>& value) {
    if (value) options += fmt::format(",{}{}", *value ? "" : "no_", name);
}

} // namespace

Command virtiofsd(const std::string& program, const xml::Filesystem& filesystem, int listener) {
    const auto& binary = filesystem.binary;
    Command command;
    command.program = program;
    std::string options = "source=" + without_commas(filesystem.source);
    if (binary.cache && *binary.cache != xml::VirtiofsCache::default_) options += fmt::format(",cache={}", word(*binary.cache));
    if (binary.sandbox && *binary.sandbox != xml::VirtiofsSandbox::default_)
        options += fmt::format(",sandbox={}", word(*binary.sandbox));
    add_switch(options, "xattr", binary.xattr);
    add_switch(options, "flock", binary.flock);
    add_switch(options, "posix_lock", binary.posix_lock);
    command.args = {fmt::format("--fd={}", listener), "-o", options};
    if (binary.thread_pool && *binary.thread_pool >= 0)
        command.args.push_back(fmt::format("--thread-pool-size={}", *binary.thread_pool));
    command.fds.push_back({listener, listener});
    return command;
}

} // namespace lodge::drivers::qemu
