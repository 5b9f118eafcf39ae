#include "cli/local_version.hpp"

#include "cli/fd.hpp"

#include <arpa/inet.h>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

namespace lodge::cli {

namespace {

// The few calls of the remote program that this needs; rpc/protocol/remote.json describes all.
constexpr unsigned remote_program = 0x20008086, remote_version = 1;
enum Procedure : unsigned {
    connect_open = 1,
    connect_close = 2,
    get_type = 3,
    get_version = 4,
    auth_list = 66,
    get_lib_version = 157
};
constexpr unsigned auth_none = 0;
constexpr size_t header_size = 28; // length, program, version, procedure, type, serial, status

struct Unusual {}; // leave it to libvirt

class Packed {
  public:
    void word(unsigned value) {
        value = htonl(value);
        bytes.append(reinterpret_cast<const char*>(&value), 4);
    }
    void text(const std::string& value) {
        word(static_cast<unsigned>(value.size()));
        bytes += value;
        bytes.append((4 - value.size() % 4) % 4, '\0');
    }
    std::string bytes;
};

class Unpacked {
  public:
    explicit Unpacked(std::string bytes)
        : bytes_(std::move(bytes)) {}
    unsigned word() {
        if (bytes_.size() - at_ < 4) throw Unusual();
        unsigned value = 0;
        std::memcpy(&value, bytes_.data() + at_, 4);
        at_ += 4;
        return ntohl(value);
    }
    unsigned long hyper() {
        unsigned long high = word();
        return high << 32 | word();
    }
    std::string text() {
        auto length = word();
        if (bytes_.size() - at_ < length) throw Unusual();
        return bytes_.substr(at_, length);
    }

  private:
    std::string bytes_;
    size_t at_ = 0;
};

class Daemon {
  public:
    explicit Daemon(bool readonly)
        : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strcpy(address.sun_path, readonly ? "/var/run/libvirt/libvirt-sock-ro" : "/var/run/libvirt/libvirt-sock");
        timeval patience{.tv_sec = 5, .tv_usec = 0};
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) throw Unusual();
    }

    Unpacked call(Procedure procedure, const std::string& arguments = {}) {
        Packed message;
        for (unsigned word : {static_cast<unsigned>(header_size + arguments.size()), remote_program, remote_version,
                              static_cast<unsigned>(procedure), 0u, ++serial_, 0u})
            message.word(word);
        message.bytes += arguments;
        if (::send(socket_.get(), message.bytes.data(), message.bytes.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(message.bytes.size()))
            throw Unusual();
        auto length = Unpacked(receive(4)).word();
        if (length < header_size || length > 65536) throw Unusual();
        Unpacked answer(receive(length - 4));
        for (unsigned expected : {remote_program, remote_version, static_cast<unsigned>(procedure), 1u, serial_, 0u})
            if (answer.word() != expected) throw Unusual(); // an error or an event: libvirt knows what to do with it
        return answer;
    }

  private:
    std::string receive(size_t length) {
        std::string out(length, '\0');
        if (::recv(socket_.get(), out.data(), length, MSG_WAITALL) != static_cast<ssize_t>(length)) throw Unusual();
        return out;
    }

    Fd socket_;
    unsigned serial_ = 0;
};

// libvirt.so.0.9000.0 is version 9.0.0: what the library would say of itself.
unsigned long library_version() {
    std::error_code error;
    auto name =
        std::filesystem::read_symlink(std::filesystem::path(LODGE_LIBVIRT_FOLDER) / "libvirt.so.0", error).filename().string();
    constexpr std::string_view lead = "libvirt.so.0.";
    unsigned long major_minor = 0, micro = 0;
    if (error || !name.starts_with(lead)) throw Unusual();
    const char* last = name.data() + name.size();
    auto [dot, bad] = std::from_chars(name.data() + lead.size(), last, major_minor);
    if (bad != std::errc() || dot == last || *dot != '.') throw Unusual();
    auto [end, worse] = std::from_chars(dot + 1, last, micro);
    if (worse != std::errc() || end != last || major_minor < 1000) throw Unusual();
    return major_minor * 1000 + micro;
}

} // namespace

std::optional<VersionFacts> ask_local_version(const std::string& uri, bool readonly) {
    if (uri != "qemu:///system") return {};
    if (::geteuid() != 0 && !readonly) return {}; // polkit may have to be asked
    try {
        VersionFacts facts;
        facts.library = facts.api = library_version();
        Daemon daemon(readonly);
        auto methods = daemon.call(auth_list);
        if (methods.word() != 1 || methods.word() != auth_none) return {};
        Packed open;
        open.word(1); // there is a name
        open.text(uri);
        open.word(readonly ? 1 : 0);
        daemon.call(connect_open, open.bytes);
        facts.type = daemon.call(get_type).text();
        facts.hypervisor = daemon.call(get_version).hyper();
        facts.daemon = daemon.call(get_lib_version).hyper();
        daemon.call(connect_close);
        return facts;
    } catch (const Unusual&) {
        return {};
    }
}

} // namespace lodge::cli
