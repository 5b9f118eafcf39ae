// <filesystem>: folders of the host in the guest.
#pragma once
#include "xml/domain/address.hpp"
#include "xml/domain/scaled.hpp"

namespace lodge::xml {

enum class FilesystemType { mount, block, file, template_, ram, bind, volume };
inline std::span<const std::string_view> enum_words(FilesystemType) {
    static constexpr std::string_view w[] = {"mount", "block", "file", "template", "ram", "bind", "volume"};
    return w;
}
enum class FilesystemAccess { passthrough, mapped, squash };
inline std::span<const std::string_view> enum_words(FilesystemAccess) {
    static constexpr std::string_view w[] = {"passthrough", "mapped", "squash"};
    return w;
}
enum class FilesystemDriver { default_, path, handle, loop, nbd, ploop, virtiofs };
inline std::span<const std::string_view> enum_words(FilesystemDriver) {
    static constexpr std::string_view w[] = {"default", "path", "handle", "loop", "nbd", "ploop", "virtiofs"};
    return w;
}
enum class MultiDevs { default_, remap, forbid, warn };
inline std::span<const std::string_view> enum_words(MultiDevs) {
    static constexpr std::string_view w[] = {"default", "remap", "forbid", "warn"};
    return w;
}
enum class VirtiofsCache { default_, none, always };
inline std::span<const std::string_view> enum_words(VirtiofsCache) {
    static constexpr std::string_view w[] = {"default", "none", "always"};
    return w;
}
enum class VirtiofsSandbox { default_, namespace_, chroot };
inline std::span<const std::string_view> enum_words(VirtiofsSandbox) {
    static constexpr std::string_view w[] = {"default", "namespace", "chroot"};
    return w;
}

struct VirtiofsBinary {
    std::string path;
    std::optional<OnOff> xattr;
    std::optional<VirtiofsCache> cache;
    std::optional<VirtiofsSandbox> sandbox;
    std::optional<OnOff> posix_lock, flock;
    std::optional<std::int64_t> thread_pool;
};
// Permissions of a file, in octal; zero is none.
struct FileMode {
    std::uint32_t bits = 0;
};
template<> struct Traits<FileMode> {
    static bool present(FileMode v) { return v.bits != 0; }
    static bool parse(FileMode& v, std::string_view text) { return parse_word(text, v.bits, Mark::octal); }
    static void format(FileMode v, std::string& out) { out += fmt::format("{:04o}", v.bits); }
    static void random(FileMode& v, Random& r) { v.bits = static_cast<std::uint32_t>(r() % 01000); }
    static constexpr const char* expected = "Expected non-negative integer value";
};

enum class WritePolicy { default_, immediate };
inline std::span<const std::string_view> enum_words(WritePolicy) {
    static constexpr std::string_view w[] = {"default", "immediate"};
    return w;
}

struct Filesystem {
    FilesystemType type = FilesystemType::mount;
    std::optional<FilesystemAccess> accessmode;
    std::optional<VirtioModel> model;
    std::optional<MultiDevs> multidevs;
    FileMode fmode, dmode;
    std::optional<FilesystemDriver> driver;
    std::string format;
    std::optional<WritePolicy> wrpolicy;
    std::optional<std::uint32_t> queue;
    VirtioOptions virtio;
    VirtiofsBinary binary;
    std::string source; // dir=, dev=, file=, name= by type
    std::string socket; // an external virtiofsd
    std::optional<std::uint64_t> ram_kib;
    std::string pool, volume;
    std::string target;
    bool readonly = false;
    std::optional<Bytes> space_hard_limit, space_soft_limit;
    DeviceInfo info;
};
void describe(Doc&, Filesystem&);
void describe(Doc&, VirtiofsBinary&);

} // namespace lodge::xml
