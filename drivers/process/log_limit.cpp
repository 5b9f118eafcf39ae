#include "drivers/process/log_limit.hpp"
#include "rpc/log.hpp"
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <set>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace lodge::drivers {

using rpc::Fd;

// ---- one file ----

namespace {

std::uint64_t size_of(int fd) {
    struct stat info{};
    return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? static_cast<std::uint64_t>(info.st_size) : 0;
}

// Bytes [from, to) of one file at the end of another.
void copy_range(int in, int out, std::uint64_t from, std::uint64_t to) {
    auto at = static_cast<off_t>(from);
    char buffer[1 << 16];
    while (at < static_cast<off_t>(to)) {
        const ssize_t n = ::pread(in, buffer, std::min(sizeof buffer, static_cast<std::size_t>(static_cast<off_t>(to) - at)), at);
        if (n <= 0) return;
        if (::write(out, buffer, static_cast<std::size_t>(n)) != n) return; // a full disk: older words are what it costs
        at += n;
    }
}

void shift_backups(const std::string& path, unsigned count) {
    for (unsigned number = count; number-- > 1;)
        ::rename(fmt::format("{}.{}", path, number - 1).c_str(), fmt::format("{}.{}", path, number).c_str());
}

Fd fresh_backup(const std::string& path, int like) {
    const std::string name = path + ".0";
    ::unlink(name.c_str());
    Fd fd(::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    struct stat info{};
    if (fd && ::fstat(like, &info) == 0) {
        ::fchmod(fd.get(), info.st_mode & 07777);
        if (::fchown(fd.get(), info.st_uid, info.st_gid) < 0) return fd; // ours then
    }
    return fd;
}

} // namespace

void shorten_log(const std::string& path, std::uint64_t most, unsigned max_backups) {
    const Fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    const std::uint64_t size = file ? size_of(file.get()) : 0;
    struct stat info{};
    if (size == 0 || ::fstat(file.get(), &info) < 0) return;
    const auto block = static_cast<std::uint64_t>(std::max<blksize_t>(info.st_blksize, 512));
    const std::uint64_t cut = (size - 1) / block * block; // whole blocks, and never the whole file
    Fd backup;
    if (max_backups > 0) {
        shift_backups(path, max_backups);
        backup = fresh_backup(path, file.get());
        if (backup) copy_range(file.get(), backup.get(), cut > most ? cut - most : 0, cut);
    }
    if (cut > 0 && ::fallocate(file.get(), FALLOC_FL_COLLAPSE_RANGE, 0, static_cast<off_t>(cut)) == 0) return;
    // A file system that cannot: what is written between these two lines is lost.
    if (backup) copy_range(file.get(), backup.get(), cut, size_of(file.get()));
    if (::ftruncate(file.get(), 0) < 0) log::warn("log '{}' cannot be cut: {}", path, std::strerror(errno));
}

// ---- all of them ----

struct LogLimit::Inotify {
    explicit Inotify(const rpc::Executor& executor, int fd)
        : descriptor(executor, fd)
        , pause(executor) {}
    asio::posix::stream_descriptor descriptor;
    asio::steady_timer pause;
};

LogLimit::LogLimit(rpc::Executor executor, std::uint64_t max_size, unsigned max_backups)
    : executor_(std::move(executor))
    , max_size_(max_size)
    , max_backups_(max_backups) {}

LogLimit::~LogLimit() = default;

void LogLimit::watch(const std::string& path) {
    if (max_size_ == 0 || path.empty()) return;
    if (!inotify_) {
        const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (fd < 0) {
            log::warn("logs are not limited: {}", std::strerror(errno));
            max_size_ = 0;
            return;
        }
        inotify_ = std::make_unique<Inotify>(executor_, fd);
        await_growth();
    }
    Log& log = logs_[path];
    if (++log.watchers > 1) return;
    log.number = ::inotify_add_watch(inotify_->descriptor.native_handle(), path.c_str(), IN_MODIFY);
    look_at(path);
}

void LogLimit::forget(const std::string& path) {
    const auto log = logs_.find(path);
    if (log == logs_.end() || --log->second.watchers > 0) return;
    const int number = log->second.number;
    logs_.erase(log);
    // Two names of one file share a watch.
    for (const auto& [other, kept] : logs_)
        if (kept.number == number) return;
    if (number >= 0) ::inotify_rm_watch(inotify_->descriptor.native_handle(), number);
}

void LogLimit::await_growth() {
    inotify_->descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                    [weak = weak_from_this()](boost::system::error_code error) {
                                        const auto self = weak.lock();
                                        if (self && !error) self->hear();
                                    });
}

// A guest may write byte by byte: the kernel folds equal news into one as long as they are not read.
void LogLimit::hear() {
    alignas(inotify_event) char buffer[16384];
    std::set<int> grown;
    for (ssize_t n; (n = ::read(inotify_->descriptor.native_handle(), buffer, sizeof buffer)) > 0;)
        for (const char* at = buffer; at < buffer + n;) {
            const auto* event = reinterpret_cast<const inotify_event*>(at);
            grown.insert(event->wd);
            at += sizeof *event + event->len;
        }
    for (const auto& [path, log] : logs_)
        if (grown.contains(log.number)) look_at(path);
    inotify_->pause.expires_after(100ms);
    inotify_->pause.async_wait([weak = weak_from_this()](boost::system::error_code error) {
        const auto self = weak.lock();
        if (self && !error) self->await_growth();
    });
}

void LogLimit::look_at(const std::string& path) {
    struct stat info{};
    Log& log = logs_[path];
    if (log.busy || ::stat(path.c_str(), &info) < 0 || !S_ISREG(info.st_mode)) return;
    if (static_cast<std::uint64_t>(info.st_size) <= max_size_) return;
    log.busy = true;
    rpc::spawn(executor_, "cutting a log", cut(shared_from_this(), path));
}

rpc::Task<> LogLimit::cut(std::shared_ptr<LogLimit> self, std::string path) {
    co_await rpc::blocking([&] { shorten_log(path, self->max_size_, self->max_backups_); });
    const auto log = self->logs_.find(path);
    if (log == self->logs_.end()) co_return;
    log->second.busy = false;
    self->look_at(path); // it may have grown as fast
}

} // namespace lodge::drivers
