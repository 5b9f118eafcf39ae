#include "daemon/store.hpp"
#include "rpc/error.hpp"
#include <algorithm>
#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace lodge::daemon::store {

using rpc::Fd;
namespace fs = std::filesystem;

static std::string folder_of(const std::string& path) { return fs::path(path).parent_path().string(); }

static void sync_folder(const std::string& folder) {
    Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || fsync(fd.get()) != 0) rpc::fail_errno(errno, fmt::format("cannot sync folder '{}'", folder));
}

static void write_all(int fd, std::string_view text, const std::string& path) {
    while (!text.empty()) {
        const ssize_t wrote = ::write(fd, text.data(), text.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) rpc::fail_errno(errno, fmt::format("cannot write config file '{}'", path));
        text.remove_prefix(static_cast<std::size_t>(wrote));
    }
}

// A folder that is not there yet is made.
static Fd open_folder(const std::string& folder) {
    const auto open = [&] { return Fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)); };
    Fd fd = open();
    if (!fd && errno == ENOENT) {
        make_folders(folder);
        fd = open();
    }
    if (!fd) rpc::fail_errno(errno, fmt::format("cannot open folder '{}'", folder));
    return fd;
}

void replace_now(const std::string& path, const std::string& text, bool durable) {
    const auto slash = path.rfind('/');
    const std::string folder = path.substr(0, slash), name = path.substr(slash + 1), aside = name + ".new";
    const Fd in = open_folder(folder);
    try {
        Fd fd(::openat(in.get(), aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (!fd) rpc::fail_errno(errno, fmt::format("cannot create config file '{}.new'", path));
        write_all(fd.get(), text, path + ".new");
        if (durable && fsync(fd.get()) != 0) rpc::fail_errno(errno, fmt::format("cannot sync config file '{}.new'", path));
        if (::renameat(in.get(), aside.c_str(), in.get(), name.c_str()) != 0)
            rpc::fail_errno(errno, fmt::format("cannot rename '{0}.new' to '{0}'", path));
    } catch (...) {
        ::unlinkat(in.get(), aside.c_str(), 0);
        throw;
    }
    if (durable && fsync(in.get()) != 0) rpc::fail_errno(errno, fmt::format("cannot sync folder '{}'", folder));
}

void remove_now(const std::string& path) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) rpc::fail_errno(errno, fmt::format("cannot remove '{}'", path));
}

rpc::Task<> replace(std::string path, std::string text) {
    co_await rpc::blocking([&] { replace_now(path, text, true); });
}

// A short write to memory; handing it to a thread would cost more than the write.
rpc::Task<> replace_volatile(std::string path, std::string text) {
    replace_now(path, text, false);
    co_return;
}

rpc::Task<> remove(std::string path) {
    co_await rpc::blocking([&] {
        remove_now(path);
        if (fs::exists(folder_of(path))) sync_folder(folder_of(path));
    });
}

rpc::Task<> set_link(std::string link, std::string target, bool present) {
    co_await rpc::blocking([&] {
        if (present) {
            make_folders(folder_of(link));
            const std::string aside = link + ".new";
            ::unlink(aside.c_str());
            if (::symlink(target.c_str(), aside.c_str()) != 0)
                rpc::fail_errno(errno, fmt::format("Failed to create symlink '{}' to '{}'", link, target));
            if (::rename(aside.c_str(), link.c_str()) != 0)
                rpc::fail_errno(errno, fmt::format("Failed to create symlink '{}'", link));
        } else {
            remove_now(link);
            if (!fs::exists(folder_of(link))) return;
        }
        sync_folder(folder_of(link));
    });
}

void make_folders(const std::string& path, unsigned mode) {
    if (path.empty() || ::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return;
    if (errno == ENOENT) {
        make_folders(folder_of(path), 0755);
        if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return;
    }
    rpc::fail_errno(errno, fmt::format("cannot create folder '{}'", path));
}

std::string read_file(const std::string& path) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) rpc::fail_errno(errno, fmt::format("cannot open '{}'", path));
    struct stat info{};
    if (fstat(fd.get(), &info) != 0) rpc::fail_errno(errno, fmt::format("cannot look at '{}'", path));
    if (!S_ISREG(info.st_mode)) rpc::fail(rpc::Code::internal_error, "'{}' is not a regular file", path);
    constexpr off_t limit = 16 << 20; // larger than any definition that libvirt would take
    if (info.st_size > limit) rpc::fail(rpc::Code::internal_error, "'{}' is larger than {} bytes", path, limit);
    std::string text(static_cast<std::size_t>(info.st_size), '\0');
    std::size_t have = 0;
    while (have < text.size()) {
        const ssize_t got = ::read(fd.get(), text.data() + have, text.size() - have);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) rpc::fail_errno(errno, fmt::format("cannot read '{}'", path));
        if (got == 0) break;
        have += static_cast<std::size_t>(got);
    }
    text.resize(have);
    return text;
}

std::vector<StoredFile> list_folder(const std::string& folder, std::string_view suffix) {
    const std::string unfinished = std::string(suffix) + ".new"; // see replace_now()
    std::vector<StoredFile> files;
    DIR* dir = opendir(folder.c_str());
    if (!dir) return files;
    while (const dirent* entry = readdir(dir)) {
        const std::string_view name = entry->d_name;
        if (name.ends_with(unfinished)) ::unlinkat(dirfd(dir), entry->d_name, 0);
        if (name.starts_with('.') || !name.ends_with(suffix) || name.size() == suffix.size()) continue;
        StoredFile file;
        file.path = folder + "/" + std::string(name);
        file.name = name.substr(0, name.size() - suffix.size());
        files.push_back(std::move(file));
    }
    closedir(dir);
    std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return files;
}

void read(StoredFile& file) {
    try {
        file.text = read_file(file.path);
    } catch (const rpc::Error& error) {
        file.error = error.what();
    }
}

std::vector<StoredFile> read_folder(const std::string& folder, std::string_view suffix) {
    auto files = list_folder(folder, suffix);
    for (auto& file : files) read(file);
    return files;
}

std::string definition_header(const std::string& edit_command) {
    return fmt::format("<!--\nWritten by lodged. Changes made here by hand are read at its next start;\n"
                       "to change the running daemon's view use:\n  {}\n-->\n\n",
                       edit_command);
}

} // namespace lodge::daemon::store
