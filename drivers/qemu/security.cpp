#include "drivers/qemu/security.hpp"
#include "rpc/error.hpp"
#include "rpc/task.hpp"
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lodge::drivers::qemu {

namespace {

// The file itself, looked up once: what is checked and what is changed cannot be two different files.
struct Opened {
    rpc::Fd fd;
    struct stat info{};
    explicit Opened(const std::string& path)
        : fd(::open(path.c_str(), O_PATH | O_CLOEXEC)) {
        if (fd && ::fstat(fd.get(), &info) < 0) fd.reset();
    }
    bool chown(uid_t uid, gid_t gid) const { return ::fchownat(fd.get(), "", uid, gid, AT_EMPTY_PATH) == 0; }
};

} // namespace

namespace {

std::string user_name(uid_t uid) {
    const passwd* entry = ::getpwuid(uid);
    return entry ? entry->pw_name : fmt::format("+{}", uid);
}

std::string group_name(gid_t gid) {
    const group* entry = ::getgrgid(gid);
    return entry ? entry->gr_name : fmt::format("+{}", gid);
}

// The bits of a mode that hold for this identity, and whose they are.
std::pair<unsigned, const char*> bits_for(const struct stat& info, const Identity& identity) {
    if (info.st_uid == identity.uid) return {(info.st_mode >> 6) & 7, "its owner"};
    const bool member = info.st_gid == identity.gid || std::ranges::find(identity.groups, info.st_gid) != identity.groups.end();
    if (member) return {(info.st_mode >> 3) & 7, "its group"};
    return {info.st_mode & 7, "others"};
}

std::string refusal(const std::string& path, const struct stat& info, const Identity& identity, unsigned wanted,
                    const char* verb) {
    const auto [bits, whose] = bits_for(info, identity);
    const unsigned missing = wanted & ~bits;
    if (identity.uid == 0 || !missing) return {};
    std::string letters;
    for (const auto& [bit, letter] : {std::pair(4U, 'r'), {2U, 'w'}, {1U, 'x'}})
        if (missing & bit) letters += letter;
    return fmt::format("'{}' (mode {:04o}, owner {}:{}) may not be {} by user '{}': no {} for {}", path, info.st_mode & 07777,
                       user_name(info.st_uid), group_name(info.st_gid), verb, user_name(identity.uid), letters, whose);
}

} // namespace

std::string why_refused(const std::string& path, const Identity& identity, bool to_write) {
    std::error_code error;
    const auto real = std::filesystem::canonical(path, error);
    if (error) return {};
    std::filesystem::path at;
    for (const auto& part : real.parent_path()) {
        at /= part;
        struct stat info{};
        if (::stat(at.c_str(), &info) < 0) return {};
        if (auto why = refusal(at, info, identity, 1, "searched"); !why.empty()) return why;
    }
    struct stat info{};
    if (::stat(real.c_str(), &info) < 0) return {};
    return refusal(real, info, identity, to_write ? 6 : 4, to_write ? "read and written" : "read");
}

std::vector<FormerOwner> take_ownership(const std::vector<OwnedPath>& paths, const Identity& identity) {
    std::vector<FormerOwner> former;
    for (const auto& [path, restore, other] : paths) {
        const Identity& owner = other ? *other : identity;
        const Opened file(path);
        if (!file.fd || S_ISDIR(file.info.st_mode)) continue; // QEMU says it better when it cannot open it
        if (file.info.st_uid == owner.uid && file.info.st_gid == owner.gid) continue;
        if (file.chown(owner.uid, owner.gid)) {
            if (restore)
                former.push_back({path, file.info.st_uid, file.info.st_gid, other ? std::optional(other->uid) : std::nullopt});
            continue;
        }
        const int error = errno;
        // Read-only file systems and some network ones refuse; it may be readable as it is.
        if (error == EROFS || error == EOPNOTSUPP || error == EINVAL || error == ENOSYS || (error == EPERM && ::geteuid() != 0))
            continue;
        give_back(former, identity);
        rpc::fail_errno(error, fmt::format("unable to set user and group to '{}:{}' on '{}'", owner.uid, owner.gid, path));
    }
    return former;
}

void give_back(const std::vector<FormerOwner>& former, const Identity& identity) {
    for (const auto& owner : former) {
        const Opened file(owner.path);
        if (file.fd && file.info.st_uid == owner.lent_to.value_or(identity.uid)) file.chown(owner.uid, owner.gid);
    }
}

} // namespace lodge::drivers::qemu
