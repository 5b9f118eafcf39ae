#include "drivers/storage/local_pool.hpp"
#include "drivers/storage/qemu_img.hpp"
#include "drivers/storage/tools.hpp"
#include "drivers/storage/volume_file.hpp"
#include "rpc/generated/constants.hpp"
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace lodge::drivers {

namespace api = rpc::api;

// ---- the pool ----

Task<bool> LocalPool::is_active(xml::Pool pool) {
    co_return co_await rpc::blocking_result([path = pool.target.path] { return ::access(path.c_str(), F_OK) == 0; });
}

Task<> LocalPool::build(xml::Pool pool, PoolBuild how) {
    co_await rpc::blocking([&pool] { make_pool_folder(pool); });
    if (how != PoolBuild::make)
        rpc::fail(Code::operation_invalid, "No source device specified when formatting pool '{}'", pool.name);
}

Task<> LocalPool::remove(xml::Pool pool) {
    co_await rpc::blocking([&pool] {
        const auto& path = pool.target.path;
        if (::rmdir(path.c_str()) < 0) rpc::fail_errno(errno, fmt::format("failed to remove pool '{}'", path));
    });
}

// Images are looked at in handfuls: other work on the worker pool gets its turn in between.
Task<PoolContents> LocalPool::refresh(xml::Pool pool) {
    constexpr std::size_t handful = 64;
    const std::string folder = pool.target.path;
    const auto names = co_await rpc::blocking_result([&folder] { return volume_names(folder); });
    PoolContents contents;
    for (std::size_t at = 0; at < names.size(); at += handful)
        co_await rpc::blocking([&, at] {
            for (std::size_t i = at; i < std::min(names.size(), at + handful); ++i) {
                xml::Volume volume;
                volume.name = names[i];
                volume.target.path = folder + "/" + names[i];
                volume.key = volume.target.path;
                if (probe_volume_file(volume)) contents.volumes.push_back(std::move(volume));
            }
        });
    const auto figures = co_await rpc::blocking_result([&folder] { return folder_figures(folder); });
    contents.capacity = figures.capacity;
    contents.allocation = figures.allocation;
    contents.available = figures.available;
    contents.permissions = figures.permissions;
    co_return contents;
}

// ---- volumes ----

Task<xml::Volume> LocalPool::place(xml::Pool pool, xml::Volume volume) {
    if (volume.name.find('/') != std::string::npos)
        rpc::fail(Code::operation_invalid, "volume name '{}' cannot contain '/'", volume.name);
    volume.type = volume.target.format == "dir"     ? xml::VolumeType::dir
                  : volume.target.format == "ploop" ? xml::VolumeType::ploop
                                                    : xml::VolumeType::file;
    volume.target.path = pool.target.path + "/" + volume.name;
    volume.key = volume.target.path;
    const bool taken = co_await rpc::blocking_result([path = volume.target.path] { return ::access(path.c_str(), F_OK) == 0; });
    if (taken) rpc::fail(Code::operation_invalid, "volume target path '{}' already exists", volume.target.path);
    co_return volume;
}

Task<xml::Volume> LocalPool::refresh_volume(xml::Pool, xml::Volume volume) {
    co_await rpc::blocking([&volume] { refresh_volume_file(volume); });
    co_return volume;
}

Task<xml::Volume> LocalPool::probe_volume(xml::Pool, xml::Volume volume) {
    co_await rpc::blocking([&volume] { probe_volume_file(volume); });
    co_return volume;
}

Task<> LocalPool::delete_volume(xml::Pool, xml::Volume volume) {
    co_await rpc::blocking([&volume] { delete_volume_file(volume); });
}

namespace {

// A passphrase for a child, in memory alone: qemu-img reads it from a descriptor that it inherits.
class SecretInMemory {
  public:
    SecretInMemory(const Passphrase& passphrase, int number)
        : number_(number) {
        if (!passphrase) return;
        fd_ = Fd(::memfd_create("passphrase", MFD_CLOEXEC));
        if (!fd_ || ::write(fd_.get(), passphrase->data(), passphrase->size()) != static_cast<ssize_t>(passphrase->size()) ||
            ::lseek(fd_.get(), 0, SEEK_SET) < 0)
            rpc::fail_errno(errno, "failed to write secret file");
    }
    std::string path() const { return fd_ ? fmt::format("/proc/self/fd/{}", number_) : std::string(); }
    void pass_to(Command& command) const {
        if (fd_) command.fds.push_back({fd_.get(), number_});
    }

  private:
    Fd fd_;
    int number_;
};

bool is_raw(const xml::Volume& volume) {
    return volume.type == xml::VolumeType::block || (volume.target.format == "raw" && !volume.target.encryption);
}

void refuse_for_raw(const VolumeRequest& request) {
    if (request.preallocate_metadata)
        rpc::fail(Code::config_unsupported, "metadata preallocation is not supported for raw volumes");
    if (request.volume.backing) rpc::fail(Code::no_support, "backing storage not supported for raw volumes");
    if (request.volume.target.encryption) rpc::fail(Code::config_unsupported, "storage pool does not support encrypted volumes");
}

Task<> create_raw(VolumeRequest request) {
    refuse_for_raw(request);
    const auto& volume = request.volume;
    // Less room than the source holds: the copy is sparse.
    const bool allocate = !request.source || volume.allocation_bytes() >= request.source->capacity_bytes();
    const Fd file = co_await rpc::blocking_result([&] { return create_raw_file(volume, allocate); });
    if (request.source) {
        const auto& from_path = request.source->target.path;
        const Fd from(::open(from_path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
        if (!from) rpc::fail_errno(errno, fmt::format("could not open input path '{}'", from_path));
        if (request.reflink)
            co_await rpc::blocking([&] { clone_blocks(from.get(), file.get(), from_path); });
        else
            for (std::optional<std::uint64_t> at = 0; at;)
                at = co_await rpc::blocking_result([&] { return copy_some(from.get(), file.get(), *at); });
    }
    co_await rpc::blocking([&] {
        if (::fsync(file.get()) < 0) rpc::fail_errno(errno, fmt::format("cannot sync data to file '{}'", volume.target.path));
    });
}

// QEMU counts how often to hash a LUKS passphrase by the CPU time that a trial takes, and gives up where a busy host's clock
// shows none: that is over with the next attempt.
Task<> run_qemu_img(const Command& command) {
    constexpr int attempts = 5;
    for (int attempt = 1;; ++attempt) {
        try {
            co_await run_tool(command);
            co_return;
        } catch (const rpc::Error& error) {
            if (attempt == attempts || error.detail().find("Unable to get accurate CPU usage") == std::string::npos) throw;
        }
    }
}

Task<> create_by_qemu_img(VolumeRequest request) {
    const auto& volume = request.volume;
    const SecretInMemory secret(qemu_img::needs_secret(volume) ? request.passphrase : Passphrase(), 10);
    const SecretInMemory source_secret(request.source_passphrase, 11);
    const std::string path = unfinished_path(volume.target.path);
    const qemu_img::NewImage image{request.pool, volume, path, request.preallocate_metadata, secret.path()};
    std::vector<Command> commands;
    if (request.source) {
        const qemu_img::SourceImage source{*request.source, source_secret.path()};
        const bool in_two_steps = !secret.path().empty() || !source_secret.path().empty();
        if (in_two_steps) commands.push_back(qemu_img::create(image, &source));
        commands.push_back(qemu_img::convert(image, source));
    } else {
        commands.push_back(qemu_img::create(image));
    }
    for (auto& command : commands) {
        secret.pass_to(command);
        source_secret.pass_to(command);
        co_await run_qemu_img(command);
    }
    co_await rpc::blocking([&] { settle_owner_of_new(path, volume.target.permissions); });
}

} // namespace

// Errors name the volume as its owner knows it, not as what it is called while it is made.
[[noreturn]] static void rethrow_naming(std::exception_ptr failure, const std::string& path) {
    try {
        std::rethrow_exception(failure);
    } catch (const rpc::Error& error) {
        std::string text = error.detail();
        const std::string aside = unfinished_path(path);
        for (auto at = text.find(aside); at != std::string::npos; at = text.find(aside, at + path.size()))
            text.replace(at, aside.size(), path);
        throw rpc::Error(error.code(), text, error.from());
    }
}

Task<> LocalPool::create(VolumeRequest request) {
    const auto& volume = request.volume;
    const std::string path = volume.target.path;
    if (volume.target.format == "dir") {
        if (request.source) rpc::fail(Code::internal_error, "cannot copy from volume to a directory volume");
        if (volume.backing) rpc::fail(Code::no_support, "backing storage not supported for directories volumes");
        co_await rpc::blocking([&volume] { create_folder(volume); });
        co_return;
    }
    if (volume.target.format == "ploop") rpc::fail(Code::internal_error, "unable to find ploop, please install ploop tools");
    const bool raw = is_raw(volume) && (!request.source || is_raw(*request.source));
    std::exception_ptr failure;
    try {
        if (raw)
            co_await create_raw(request);
        else
            co_await create_by_qemu_img(request);
        co_await rpc::blocking([&path] { give_final_name(path); });
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure) co_return;
    co_await rpc::blocking([&path] { ::unlink(unfinished_path(path).c_str()); });
    rethrow_naming(failure, path);
}

Task<> LocalPool::resize(xml::Pool, xml::Volume volume, std::uint64_t capacity, bool allocate, Passphrase passphrase) {
    if (is_raw(volume)) {
        co_await rpc::blocking([&] { resize_raw_file(volume.target.path, capacity, allocate); });
        co_return;
    }
    if (allocate)
        rpc::fail(Code::operation_unsupported, "{}",
                  volume.target.format == "raw" ? "preallocate is only supported for an unencrypted raw volume"
                                                : "preallocate is only supported for raw type volume");
    const SecretInMemory secret(qemu_img::needs_secret(volume) ? passphrase : Passphrase(), 10);
    auto command = qemu_img::resize(volume, capacity, secret.path());
    secret.pass_to(command);
    co_await run_tool(command);
}

// ---- content ----

static const char* scrub_pattern(unsigned algorithm) {
    switch (algorithm) {
    case api::storage_vol_wipe_alg_nnsa: return "nnsa";
    case api::storage_vol_wipe_alg_dod: return "dod";
    case api::storage_vol_wipe_alg_bsi: return "bsi";
    case api::storage_vol_wipe_alg_gutmann: return "gutmann";
    case api::storage_vol_wipe_alg_schneier: return "schneier";
    case api::storage_vol_wipe_alg_pfitzner7: return "pfitzner7";
    case api::storage_vol_wipe_alg_pfitzner33: return "pfitzner33";
    case api::storage_vol_wipe_alg_random: return "random";
    case api::storage_vol_wipe_alg_trim: rpc::fail(Code::argument_unsupported, "'trim' algorithm not supported");
    default: return nullptr;
    }
}

Task<> wipe_volume_at(std::string path, std::uint64_t length, unsigned algorithm) {
    const char* pattern = scrub_pattern(algorithm);
    const Fd file = co_await rpc::blocking_result([&] { return Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC)); });
    if (!file) rpc::fail_errno(errno, fmt::format("Failed to open storage volume with path '{}'", path));
    if (pattern) {
        co_await run_tool(tool("scrub", {"-f", "-p", pattern, path}));
        co_return;
    }
    if (co_await rpc::blocking_result([&] { return wipe_sparse(file.get(), path); })) co_return;
    for (std::optional<std::uint64_t> at = 0; at;)
        at = co_await rpc::blocking_result([&] { return wipe_some(file.get(), path, *at, length); });
}

Task<Fd> open_volume_at(std::string path, bool writing) {
    int error = 0;
    Fd file = co_await rpc::blocking_result([&] {
        Fd opened(::open(path.c_str(), (writing ? O_WRONLY : O_RDONLY) | O_CLOEXEC | O_NOCTTY));
        error = errno;
        return opened;
    });
    if (!file) rpc::fail_errno(error, fmt::format("Unable to open stream for '{}'", path));
    co_return std::move(file);
}

Task<> LocalPool::wipe(xml::Volume volume, unsigned algorithm) {
    co_await wipe_volume_at(volume.target.path, volume.allocation_bytes(), algorithm);
}

Task<Fd> LocalPool::open_volume(xml::Volume volume, bool writing) {
    co_return co_await open_volume_at(volume.target.path, writing);
}

} // namespace lodge::drivers
