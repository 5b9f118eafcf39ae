// Calls that look at raw bytes of a guest: of a disk's image, of its memory.
#include "daemon/lookup.hpp"
#include "xml/domain/domain.hpp"
#include <fcntl.h>
#include <unistd.h>

namespace lodge::daemon {

namespace {

using rpc::fail;

std::string read_bytes(const std::string& path, std::uint64_t offset, std::size_t size) {
    const drivers::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file) rpc::fail_errno(errno, fmt::format("failed to open '{}'", path));
    std::string bytes(size, '\0');
    std::size_t have = 0;
    while (have < size) {
        const ssize_t got = ::pread(file.get(), bytes.data() + have, size - have, static_cast<off_t>(offset + have));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) rpc::fail_errno(errno, fmt::format("cannot read '{}'", path));
        if (got == 0) break;
        have += static_cast<std::size_t>(got);
    }
    bytes.resize(have);
    return bytes;
}

Task<remote::DomainBlockPeekRet> peek_block(ClientPtr client, remote::DomainBlockPeekArgs args) {
    auto domain = find_domain(*client, args.dom);
    const auto document = domain->current();
    const auto target = document->disk_target(args.path);
    if (target.empty()) fail(Code::invalid_arg, "disk '{}' not found in domain", args.path);
    const auto& disk = document->disk_source(target);
    if (disk.source.type == xml::SourceType::vhostuser)
        fail(Code::operation_unsupported, "peeking is not supported for vhostuser disk");
    const auto format = disk.driver.type.value_or(xml::StorageFormat::raw);
    if (format != xml::StorageFormat::raw)
        fail(Code::operation_unsupported, "peeking is only supported for disk with 'raw' format not '{}'", xml::word(format));
    if (disk.source.empty())
        fail(Code::operation_unsupported,
             "peeking is only supported for disk with 'raw' format not 'none': the drive '{}' is empty", target);
    if (!disk.source.fd_group.empty()) fail(Code::operation_unsupported, "peeking is not supported for FD passed images");
    if (disk.source.path.empty())
        fail(Code::internal_error, "storage file reading is not supported for storage type {} (protocol: {})",
             xml::word(disk.source.type), disk.source.protocol ? xml::word(*disk.source.protocol) : "none");
    const std::string path = disk.source.path;
    const auto bytes = co_await rpc::blocking_result([&] { return read_bytes(path, args.offset, args.size); });
    if (bytes.size() < args.size)
        fail(Code::invalid_arg, "'{}' starting from {} has only {} bytes available", args.path, args.offset, bytes.size());
    remote::DomainBlockPeekRet ret;
    ret.buffer.assign(bytes.begin(), bytes.end());
    co_return ret;
}

Task<remote::DomainMemoryPeekRet> peek_memory(ClientPtr client, remote::DomainMemoryPeekArgs args) {
    auto domain = find_domain(*client, args.dom);
    if (args.flags != api::memory_virtual && args.flags != api::memory_physical)
        fail(Code::invalid_arg, "flags parameter must be VIR_MEMORY_VIRTUAL or VIR_MEMORY_PHYSICAL");
    auto job = co_await domain->acquire("virDomainMemoryPeek");
    domain->require_active();
    const auto machine = domain->shared_machine();
    const auto bytes = co_await machine->peek_memory(args.flags == api::memory_physical, args.offset, args.size);
    remote::DomainMemoryPeekRet ret;
    ret.buffer.assign(bytes.begin(), bytes.end());
    co_return ret;
}

constexpr Method table[] = {
    on<remote::DomainBlockPeekCall, peek_block>(),
    on<remote::DomainMemoryPeekCall, peek_memory>(),
};

} // namespace

const MethodTable methods::domain_peek = table;

} // namespace lodge::daemon
