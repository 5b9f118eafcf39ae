#include "drivers/qemu/console.hpp"
#include "drivers/qemu/machine.hpp"
#include "xml/domain/domain.hpp"
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace asio = boost::asio;

namespace lodge::drivers::qemu {

// ---- the relay ----

struct Relay::Side {
    Side(const Executor& executor, int fd)
        : descriptor(executor, fd) {
        ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    }
    asio::posix::stream_descriptor descriptor;
    std::string pending; // to be written here
};

Relay::Relay(rpc::Executor executor, Fd device, Fd client)
    : sides_{std::make_unique<Side>(executor, device.release()), std::make_unique<Side>(executor, client.release())} {}
Relay::~Relay() = default;

void Relay::start() {
    read(0);
    read(1);
}

bool Relay::is_open() const { return sides_[0]->descriptor.is_open(); }

void Relay::close() {
    boost::system::error_code ignored;
    for (auto& side : sides_) side->descriptor.close(ignored);
}

void Relay::read(int from) {
    sides_[from]->descriptor.async_wait(
        asio::posix::stream_descriptor::wait_read, [self = shared_from_this(), from](boost::system::error_code error) {
            if (error || !self->is_open()) return;
            char buffer[16384];
            const ssize_t n = ::read(self->sides_[from]->descriptor.native_handle(), buffer, sizeof buffer);
            if (n < 0 && (errno == EAGAIN || errno == EINTR)) return self->read(from);
            if (n <= 0) return self->close();
            self->sides_[1 - from]->pending.assign(buffer, static_cast<std::size_t>(n));
            self->write(1 - from);
        });
}

void Relay::write(int to) {
    auto& side = *sides_[to];
    while (!side.pending.empty()) {
        const ssize_t n = ::write(side.descriptor.native_handle(), side.pending.data(), side.pending.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) {
            side.descriptor.async_wait(asio::posix::stream_descriptor::wait_write,
                                       [self = shared_from_this(), to](boost::system::error_code error) {
                                           if (!error && self->is_open()) self->write(to);
                                       });
            return;
        }
        if (n < 0) return close();
        side.pending.erase(0, static_cast<std::size_t>(n));
    }
    read(1 - to);
}

// ---- opening a guest's devices ----

namespace {

Fd open_pty(const std::string& path) {
    Fd fd(::open(path.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) rpc::fail_errno(errno, fmt::format("unable to open pty '{}'", path));
    return fd;
}

Fd connect_unix(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) rpc::fail(Code::internal_error, "UNIX socket path '{}' too long", path);
    std::memcpy(address.sun_path, path.data(), path.size());
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
        rpc::fail_errno(errno, fmt::format("unable to connect to '{}'", path));
    return fd;
}

// By alias, or the first; null: there is none.
template<class Devices> auto* find_device(Devices& devices, const std::string& alias) {
    using Device = std::remove_reference_t<decltype(devices.front())>;
    for (auto& device : devices)
        if (alias.empty() || device.info.alias == alias) return &device;
    return static_cast<Device*>(nullptr);
}

} // namespace

Task<Endpoint> QemuMachine::open_character_device(const xml::CharSource& source, std::string alias, bool force,
                                                  const char* what) {
    const auto self = shared_from_this();
    if (const auto open = relays_[alias].lock(); open && open->is_open()) {
        if (!force) rpc::fail(Code::operation_failed, "Active {} exists for this domain", what);
        open->close();
    }
    Fd device;
    if (source.type == xml::CharType::pty && !source.first().path.empty())
        device = open_pty(source.first().path);
    else if (source.type == xml::CharType::unix_ && !source.first().path.empty())
        device = connect_unix(source.first().path);
    else
        rpc::fail(Code::internal_error, "character device {} is not using a PTY or UNIX socket", alias);
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        rpc::fail_errno(errno, "unable to create socket pair");
    const auto relay = std::make_shared<Relay>(parts_.executor, std::move(device), Fd(ends[0]));
    Endpoint endpoint;
    endpoint.read = Fd(ends[1]);
    relay->start();
    relays_[alias] = relay;
    co_return endpoint;
}

Task<Endpoint> QemuMachine::open_console(std::string device, bool force) {
    static constexpr const char* session = "console session";
    auto& devices = parts_.domain->devices;
    if (const auto* console = find_device(devices.consoles, device))
        return open_character_device(console->source, console->info.alias, force, session);
    if (const auto* serial = find_device(devices.serials, device))
        return open_character_device(serial->source, serial->info.alias, force, session);
    if (const auto* parallel = find_device(devices.parallels, device); parallel && !device.empty())
        return open_character_device(parallel->source, parallel->info.alias, force, session);
    rpc::fail(Code::internal_error, "cannot find character device {}", device.empty() ? "<null>" : device);
}

Task<Endpoint> QemuMachine::open_channel(std::string name, bool force) {
    for (const auto& channel : parts_.domain->devices.channels)
        if (name.empty() || channel.target.name == name || channel.info.alias == name)
            return open_character_device(channel.source, channel.info.alias, force, "channel stream");
    rpc::fail(Code::internal_error, "cannot find channel {}", name.empty() ? "<null>" : name);
}

} // namespace lodge::drivers::qemu
