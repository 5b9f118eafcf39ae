#include "cli/backup/files.hpp"

#include "cli/event_loop.hpp"
#include "cli/failure.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <openssl/evp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace lodge::cli {

namespace {

constexpr size_t block = 1024 * 1024;

[[noreturn]] void fail_errno(const char* what, const fs::path& path) {
    fail("cannot {} '{}': {}", what, path.string(), std::strerror(errno));
}

void write_all(int fd, const char* bytes, size_t length, off_t at, const fs::path& path) {
    while (length > 0) {
        auto put = ::pwrite(fd, bytes, length, at);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) fail_errno("write", path);
        bytes += put;
        at += put;
        length -= static_cast<size_t>(put);
    }
}

struct Digest {
    using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;
    Context context{EVP_MD_CTX_new(), EVP_MD_CTX_free};

    Digest() { EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr); }
    void add(const char* bytes, size_t length) { EVP_DigestUpdate(context.get(), bytes, length); }
    std::string hex() {
        std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
        unsigned length = 0;
        EVP_DigestFinal_ex(context.get(), sum.data(), &length);
        std::string out;
        for (unsigned i = 0; i < length; i++) out += fmt::format("{:02x}", sum[i]);
        return out;
    }
};

} // namespace

Fd open_file(const fs::path& path, int flags, unsigned mode) {
    Fd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (fd.get() < 0) fail_errno((flags & O_CREAT) ? "create" : "open", path);
    return fd;
}

void stop_if_interrupted() {
    if (InterruptGuard::interrupted()) fail("{}", "interrupted");
}

void wait_until_unlocked(const fs::path& path) {
    using namespace std::chrono_literals;
    auto fd = open_file(path, O_RDWR);
    auto until = std::chrono::steady_clock::now() + 30s;
    for (;;) {
        struct flock lock{};
        lock.l_type = F_WRLCK;
        lock.l_whence = SEEK_SET; // QEMU's locks lie on the bytes from 100 to 299
        lock.l_start = 100;
        lock.l_len = 200;
        if (::fcntl(fd.get(), F_OFD_GETLK, &lock) < 0 || lock.l_type == F_UNLCK) return;
        stop_if_interrupted();
        if (std::chrono::steady_clock::now() > until) fail("QEMU does not let go of '{}'", path.string());
        std::this_thread::sleep_for(5ms);
    }
}

std::string read_file(const fs::path& path) {
    auto fd = open_file(path, O_RDONLY);
    std::string out;
    std::vector<char> buffer(block);
    for (;;) {
        auto got = ::read(fd.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail_errno("read", path);
        if (got == 0) return out;
        out.append(buffer.data(), static_cast<size_t>(got));
    }
}

void write_file(const fs::path& path, const std::string& text) {
    auto fd = open_file(path, O_WRONLY | O_CREAT | O_EXCL);
    write_all(fd.get(), text.data(), text.size(), 0, path);
    if (::fsync(fd.get()) < 0) fail_errno("sync", path);
}

void copy_sparse(const fs::path& from, const fs::path& to, const Progress& progress) {
    auto source = open_file(from, O_RDONLY);
    auto target = open_file(to, O_WRONLY | O_CREAT | O_EXCL);
    auto size = ::lseek(source.get(), 0, SEEK_END);
    if (size < 0) fail_errno("read", from);
    std::vector<char> buffer(block);
    for (off_t at = 0; at < size;) {
        auto data = ::lseek(source.get(), at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) break; // only a hole is left
        if (data < 0) data = at;               // a device or file system that knows no holes
        auto end = ::lseek(source.get(), data, SEEK_HOLE);
        if (end <= data) end = size;
        for (at = data; at < end;) {
            stop_if_interrupted();
            auto wanted = std::min<off_t>(end - at, static_cast<off_t>(buffer.size()));
            auto got = ::pread(source.get(), buffer.data(), static_cast<size_t>(wanted), at);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) fail_errno("read", from);
            if (got == 0) fail("'{}' became shorter while it was copied", from.string());
            write_all(target.get(), buffer.data(), static_cast<size_t>(got), at, to);
            at += got;
            if (progress) progress(static_cast<unsigned long long>(at), static_cast<unsigned long long>(size));
        }
    }
    if (::ftruncate(target.get(), size) < 0) fail_errno("write", to);
    if (::fsync(target.get()) < 0) fail_errno("sync", to);
}

void sync_path(const fs::path& path) {
    auto fd = open_file(path, O_RDONLY);
    if (::fsync(fd.get()) < 0) fail_errno("sync", path);
}

std::string sha256_of_text(const std::string& text) {
    Digest digest;
    digest.add(text.data(), text.size());
    return digest.hex();
}

std::string sha256_of_file(const fs::path& path, const Progress& progress) {
    auto fd = open_file(path, O_RDONLY);
    auto size = static_cast<unsigned long long>(::lseek(fd.get(), 0, SEEK_END));
    ::lseek(fd.get(), 0, SEEK_SET);
    Digest digest;
    std::vector<char> buffer(block);
    for (unsigned long long done = 0;;) {
        stop_if_interrupted();
        auto got = ::read(fd.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail_errno("read", path);
        if (got == 0) return digest.hex();
        digest.add(buffer.data(), static_cast<size_t>(got));
        done += static_cast<unsigned long long>(got);
        if (progress) progress(done, size);
    }
}

PartialFolder::PartialFolder(fs::path final_path)
    : final_(fs::absolute(final_path).lexically_normal()) {
    if (!final_.has_filename()) final_ = final_.parent_path(); // a trailing slash
    std::error_code error;
    if (fs::exists(fs::symlink_status(final_, error)) && !(fs::is_directory(final_, error) && fs::is_empty(final_, error)))
        fail("'{}' exists and is not an empty folder", final_.string());
    partial_ = final_;
    partial_ += ".partial";
    // 0711: QEMU, which is not root, must reach the files that it writes, but nobody may list them
    if (::mkdir(partial_.c_str(), 0711) < 0 && errno != EEXIST) fail_errno("create", partial_);
    lock_ = open_file(partial_, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (::flock(lock_.get(), LOCK_EX | LOCK_NB) < 0) {
        finished_ = true; // it is another one's
        fail("another backup is being written to '{}'", partial_.string());
    }
    for (const auto& entry : fs::directory_iterator(partial_)) fs::remove_all(entry.path()); // its writer was killed
    ::fchmod(lock_.get(), 0711);
}

PartialFolder::~PartialFolder() {
    std::error_code ignored;
    if (!finished_) fs::remove_all(partial_, ignored);
}

void PartialFolder::finish() {
    for (const auto& entry : fs::directory_iterator(partial_)) sync_path(entry.path());
    if (::fchmod(lock_.get(), 0700) < 0) fail_errno("change", partial_);
    if (::fsync(lock_.get()) < 0) fail_errno("sync", partial_);
    if (::rename(partial_.c_str(), final_.c_str()) < 0) fail_errno("rename to", final_);
    finished_ = true;
    sync_path(final_.parent_path());
}

} // namespace lodge::cli
