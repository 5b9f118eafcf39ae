#include "drivers/interface/config.hpp"
#include "rpc/error.hpp"
#include "rpc/task.hpp"
#include <algorithm>
#include <fcntl.h>
#include <fstream>
#include <set>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace lodge::drivers {

namespace fs = std::filesystem;

std::string read_config_file(const fs::path& path) {
    std::ostringstream text;
    if (std::ifstream in(path); in) text << in.rdbuf();
    return text.str();
}

void write_config_file(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    struct stat old{};
    const mode_t mode = ::stat(path.c_str(), &old) == 0 ? old.st_mode & 07777 : 0644;
    const auto aside = path.string() + ".lodge-new";
    rpc::Fd file(::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
    if (!file) rpc::fail_errno(errno, fmt::format("cannot write '{}'", path.string()));
    const bool written =
        ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(file.get()) == 0;
    if (!written || ::rename(aside.c_str(), path.c_str()) != 0) {
        const int error = errno;
        ::unlink(aside.c_str());
        rpc::fail_errno(error, fmt::format("cannot write '{}'", path.string()));
    }
}

std::vector<std::string> words_of(std::string_view line) {
    std::vector<std::string> words;
    std::istringstream in{std::string(line)};
    for (std::string word; in >> word;) words.push_back(word);
    return words;
}

static std::vector<fs::path> files_in(const std::vector<fs::path>& places) {
    std::vector<fs::path> files;
    for (const auto& place : places) {
        std::error_code ignored;
        if (fs::is_regular_file(place, ignored)) files.push_back(place);
        if (!fs::is_directory(place, ignored)) continue;
        for (const auto& entry : fs::directory_iterator(place, ignored))
            if (entry.is_regular_file(ignored)) files.push_back(entry.path());
    }
    return files;
}

FileSnapshot InterfaceConfig::snapshot() {
    FileSnapshot snapshot;
    for (const auto& file : files_in(places())) snapshot.files[file] = read_config_file(file);
    return snapshot;
}

void FileSnapshot::restore(const std::vector<fs::path>& places) const {
    for (const auto& file : files_in(places))
        if (!files.contains(file)) fs::remove(file);
    for (const auto& [file, text] : files)
        if (!fs::exists(file) || read_config_file(file) != text) write_config_file(file, text);
}

std::unique_ptr<InterfaceConfig> InterfaceConfig::of_host(const fs::path& root) {
    auto ifupdown = ifupdown_config(root);
    const auto configured = ifupdown->read();
    // Everybody has the loopback there; it says nothing.
    const bool in_use = std::ranges::any_of(configured, [](const xml::Interface& each) { return each.name != "lo"; });
    std::error_code ignored;
    bool networks = false;
    for (const auto& entry : fs::directory_iterator(root / "etc/systemd/network", ignored))
        networks |= entry.path().extension() == ".network";
    const bool running = fs::exists(root / "run/systemd/netif/state");
    if (!in_use && (networks || running)) return networkd_config(root);
    return ifupdown;
}

} // namespace lodge::drivers
