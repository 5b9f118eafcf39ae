#include "drivers/qemu/runtime.hpp"
#include "drivers/host/sysfs.hpp"
#include "drivers/qemu/host_devices.hpp"
#include "rpc/error.hpp"
#include "rpc/log.hpp"
#include "rpc/task.hpp"
#include <cerrno>
#include <chrono>
#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace lodge::drivers::qemu {

using nlohmann::json;
using rpc::Fd;

void to_json(json& out, const Runtime& runtime) {
    json owners = json::array();
    for (const auto& owner : runtime.owners) {
        owners.push_back({owner.path, owner.uid, owner.gid});
        if (owner.lent_to) owners.back().push_back(*owner.lent_to);
    }
    out = {{"domain_dir", runtime.domain_dir},   {"log_file", runtime.log_file}, {"pid_file", runtime.pid_file},
           {"log_start", runtime.log_start},     {"sockets", runtime.made},      {"cgroup", runtime.cgroup.folders},
           {"owners", std::move(owners)},        {"ports", runtime.ports},       {"helpers", runtime.helpers},
           {"memory_dirs", runtime.memory_dirs}, {"lends", runtime.lends},       {"assigned", runtime.assigned}};
    if (runtime.identity) out["identity"] = {runtime.identity->uid, runtime.identity->gid};
}

void from_json(const json& in, Runtime& runtime) {
    runtime.domain_dir = in.at("domain_dir");
    runtime.log_file = in.at("log_file");
    runtime.pid_file = in.at("pid_file");
    runtime.log_start = in.at("log_start");
    in.at("sockets").get_to(runtime.made);
    in.at("cgroup").get_to(runtime.cgroup.folders);
    in.at("ports").get_to(runtime.ports);
    // Guests that an older daemon started have none.
    runtime.helpers = in.value("helpers", std::vector<Helper>{});
    runtime.memory_dirs = in.value("memory_dirs", std::vector<std::string>{});
    runtime.assigned = in.value("assigned", std::vector<std::string>{});
    for (const auto& owner : in.at("owners"))
        runtime.owners.push_back({owner.at(0), owner.at(1), owner.at(2),
                                  owner.size() > 3 ? std::optional(owner.at(3).get<unsigned>()) : std::nullopt});
    runtime.lends = in.value("lends", true);
    if (const auto identity = in.find("identity"); identity != in.end())
        runtime.identity = Identity{identity->at(0), identity->at(1), {}};
}

std::vector<FormerOwner> lend(const Runtime& runtime, const std::vector<OwnedPath>& paths) {
    if (!runtime.lends || !runtime.identity) return {};
    return take_ownership(paths, *runtime.identity);
}

// Makes a folder and what leads to it; the last one belongs to QEMU's user.
static void make_folder(const std::string& path, const std::optional<Identity>& identity) {
    std::error_code error;
    fs::create_directories(fs::path(path).parent_path(), error);
    if (::mkdir(path.c_str(), 0750) < 0 && errno != EEXIST)
        rpc::fail_errno(errno, fmt::format("cannot create directory '{}'", path));
    if (identity && ::chown(path.c_str(), identity->uid, identity->gid) < 0)
        rpc::fail_errno(errno, fmt::format("cannot chown '{}' to ({}, {})", path, identity->uid, identity->gid));
}

static void write_master_key(const Runtime& runtime, const MasterKey& key) {
    const std::string path = runtime.master_key_path();
    ::unlink(path.c_str());
    const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file || ::write(file.get(), key.data(), key.size()) != static_cast<ssize_t>(key.size()))
        rpc::fail_errno(errno, fmt::format("failed to write '{}'", path));
    if (runtime.identity && ::fchown(file.get(), runtime.identity->uid, runtime.identity->gid) < 0)
        rpc::fail_errno(errno, fmt::format("cannot chown '{}'", path));
}

static void write_some(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n <= 0) return;
        text.remove_prefix(static_cast<std::size_t>(n));
    }
}

void make_runtime(const Runtime& runtime, const MasterKey& key) {
    make_folder(runtime.domain_dir, runtime.identity);
    write_master_key(runtime, key);
    std::error_code ignored;
    fs::create_directories(fs::path(runtime.log_file).parent_path(), ignored);
    fs::create_directories(fs::path(runtime.pid_file).parent_path(), ignored);
}

void begin_log(Runtime& runtime, const std::string& what, const std::string& command) {
    const Fd log(::open(runtime.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!log) rpc::fail_errno(errno, fmt::format("failed to create logfile {}", runtime.log_file));
    write_some(log.get(), fmt::format("{}: {}\n{}\n", log_stamp(), what, command));
    runtime.log_start = static_cast<std::uint64_t>(::lseek(log.get(), 0, SEEK_END));
}

void write_pid_file(const Runtime& runtime, pid_t pid) {
    const Fd file(::open(runtime.pid_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
    write_some(file.get(), fmt::format("{}\n", pid));
}

void mark_start(const Runtime& runtime) {
    // Whole or not there: a torn one would name nothing to take back.
    const std::string path = runtime.starting_path(), aside = path + ".new";
    {
        const Fd file(::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
        write_some(file.get(), json(runtime).dump());
    }
    ::rename(aside.c_str(), path.c_str());
}

void end_of_start(const Runtime& runtime) { ::unlink(runtime.starting_path().c_str()); }

static std::string whole_file(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

// The process whose command line names this guest's key; the folder's name has the guest's number and name.
static void end_process_of(const Runtime& runtime) {
    constexpr int patience_ms = 2000;
    const std::string key = runtime.master_key_path();
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
        const pid_t pid = std::atoi(entry.path().filename().c_str());
        if (pid <= 1 || pid == ::getpid()) continue;
        const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
        if (!pidfd || !whole_file(entry.path() / "cmdline").contains(key)) continue;
        ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
        pollfd end{pidfd.get(), POLLIN, 0};
        ::poll(&end, 1, patience_ms);
    }
}

static void take_back(const fs::path& mark) {
    const auto runtime = json::parse(whole_file(mark)).get<Runtime>();
    // The status file was written, only the mark had not gone: that guest is adopted.
    if (fs::exists(fs::path(runtime.pid_file).replace_extension(".xml"))) return end_of_start(runtime);
    log::warn("{}: was being started when the daemon ended; taken back", fs::path(runtime.pid_file).stem().string());
    end_process_of(runtime);
    remove_runtime(runtime);
}

void take_back_unfinished_starts(const std::string& run_folder) {
    std::error_code ignored;
    std::vector<fs::path> marks;
    for (const auto& entry : fs::directory_iterator(run_folder, ignored)) {
        const std::string name = entry.path().filename();
        if (name.ends_with(".starting")) marks.push_back(entry.path());
        if (name.ends_with(".starting.new")) fs::remove(entry.path(), ignored);
    }
    for (const auto& mark : marks) {
        try {
            take_back(mark);
        } catch (const std::exception& error) {
            log::error("{}: {}", mark.string(), error.what());
        }
    }
}

void remove_runtime(const Runtime& runtime) {
    end_helpers(runtime.helpers);
    runtime.cgroup.remove();
    if (runtime.identity) give_back(runtime.owners, *runtime.identity);
    return_pci_devices(runtime.assigned);
    for (const auto& path : runtime.made) {
        ::unlink(path.c_str());
        // The folder that channels of this guest had for themselves.
        const fs::path folder = fs::path(path).parent_path();
        if (folder.filename().string().starts_with("domain-")) ::rmdir(folder.c_str());
    }
    ::unlink(runtime.pid_file.c_str());
    end_of_start(runtime);
    std::error_code ignored;
    if (!runtime.domain_dir.empty()) fs::remove_all(runtime.domain_dir, ignored);
    for (const auto& dir : runtime.memory_dirs) fs::remove_all(dir, ignored);
}

std::string log_tail(const Runtime& runtime, std::size_t limit) {
    const Fd file(::open(runtime.log_file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return {};
    const off_t end = ::lseek(file.get(), 0, SEEK_END);
    // A log that was cut begins somewhere in this run.
    const auto start = static_cast<off_t>(runtime.log_start);
    const off_t begin = std::max(start <= end ? start : 0, end - static_cast<off_t>(limit));
    if (end <= begin) return {};
    std::string text(static_cast<std::size_t>(end - begin), 0);
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::pread(file.get(), text.data(), text.size(), begin))));
    // Only QEMU's words: lines of ours begin with a date, and so do the chatty ones about character devices.
    std::string words;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t line_end = std::min(text.find('\n', at), text.size());
        const std::string_view line = std::string_view(text).substr(at, line_end - at);
        at = line_end + 1;
        if (line.empty() || line.find("char device redirected to") != std::string_view::npos ||
            (line.size() > 30 && line[4] == '-' && line.find("+0000: ") != std::string_view::npos &&
             line.find("qemu-system") == std::string_view::npos))
            continue;
        if (!words.empty()) words += '\n';
        words += line;
    }
    return words;
}

std::string log_stamp() {
    const auto now = std::chrono::system_clock::now();
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
    const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
    return fmt::format("{}.{:03}+0000", text, millis);
}

void append_log(const Runtime& runtime, const std::string& line) {
    const Fd log(::open(runtime.log_file.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
    write_some(log.get(), fmt::format("{}: {}\n", log_stamp(), line));
}

} // namespace lodge::drivers::qemu
