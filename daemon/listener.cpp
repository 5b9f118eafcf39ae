#include "daemon/listener.hpp"
#include "daemon/store.hpp"
#include "rpc/log.hpp"
#include <csignal>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <ranges>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

namespace lodge::daemon {

Listener::Listener(Host& host, Fd socket, Door door, std::string path)
    : host_(host)
    , socket_(host.executor(), socket.release())
    , door_(door)
    , path_(std::move(path)) {
    socket_.native_non_blocking(true);
    wait();
}

Listener::Listener(Host& host, Fd socket, std::shared_ptr<NetworkDoor> gate, std::string address)
    : host_(host)
    , socket_(host.executor(), socket.release())
    , gate_(std::move(gate))
    , path_(std::move(address)) {
    socket_.native_non_blocking(true);
    wait();
}

Listener::~Listener() { close(); }

void Listener::close() {
    if (!socket_.is_open()) return;
    boost::system::error_code ignored;
    socket_.close(ignored);
    if (remove_on_close) ::unlink(path_.c_str());
}

void Listener::wait() {
    socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](boost::system::error_code error) {
        if (error) return; // closed
        accept_all();
        wait();
    });
}

void Listener::accept_all() {
    // A bounded batch: clients already connected get their turn in between.
    for (int i = 0; i < 64; ++i) {
        Fd client(::accept4(socket_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!client) {
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                log::error("{}: cannot accept a client: {}", path_, rpc::errno_text(errno));
            return;
        }
        if (gate_)
            gate_->serve(std::move(client));
        else
            host_.accept(std::move(client), door_);
    }
}

namespace {

struct SocketName {
    const char* name;
    Door door;
};

std::vector<SocketName> socket_names() {
    std::vector<SocketName> names = {
        {"libvirt-sock", Door::read_write}, {"libvirt-sock-ro", Door::read_only}, {"libvirt-admin-sock", Door::admin}};
    // Clients built for the modular daemons look for theirs; one process answers them all.
    static const char* const modular[][2] = {
        {"virtqemud-sock", "virtqemud-sock-ro"},           {"virtnetworkd-sock", "virtnetworkd-sock-ro"},
        {"virtinterfaced-sock", "virtinterfaced-sock-ro"}, {"virtstoraged-sock", "virtstoraged-sock-ro"},
        {"virtnodedevd-sock", "virtnodedevd-sock-ro"},     {"virtnwfilterd-sock", "virtnwfilterd-sock-ro"},
        {"virtsecretd-sock", "virtsecretd-sock-ro"},       {"virtproxyd-sock", "virtproxyd-sock-ro"}};
    for (const auto& pair : modular) {
        names.push_back({pair[0], Door::read_write});
        names.push_back({pair[1], Door::read_only});
    }
    return names;
}

mode_t permissions(const Config& config, Door door) {
    const std::string& text = door == Door::admin       ? config.unix_sock_admin_perms
                              : door == Door::read_only ? config.unix_sock_ro_perms
                                                        : config.unix_sock_rw_perms;
    char* end = nullptr;
    const long mode = strtol(text.c_str(), &end, 8);
    if (text.empty() || *end != '\0') rpc::fail(Code::conf_syntax, "Failed to parse mode '{}' of a socket", text);
    return static_cast<mode_t>(mode);
}

gid_t socket_group(const Config& config) {
    if (config.unix_sock_group.empty()) return static_cast<gid_t>(-1);
    const group* found = getgrnam(config.unix_sock_group.c_str());
    if (!found) rpc::fail(Code::conf_syntax, "unix_sock_group: there is no group '{}'", config.unix_sock_group);
    return found->gr_gid;
}

// A socket file that nobody listens on is left from a daemon that was killed; and so is one that only a child holds which that
// daemon had just forked. The kernel knows who called listen().
bool is_served(const sockaddr_un& address) {
    Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!probe || ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return false;
    ucred owner{};
    socklen_t size = sizeof owner;
    if (::getsockopt(probe.get(), SOL_SOCKET, SO_PEERCRED, &owner, &size) != 0 || owner.pid <= 0) return true;
    return ::kill(owner.pid, 0) == 0 || errno != ESRCH;
}

// Bound, but nobody can connect yet.
Fd make_socket(const Config& config, const std::string& path, Door door) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) rpc::fail(Code::system_error, "socket path '{}' is too long", path);
    path.copy(address.sun_path, path.size());
    if (is_served(address))
        rpc::fail(Code::system_error, "socket '{}' is served by another daemon already; stop that one first", path);
    ::unlink(path.c_str());
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) rpc::fail_errno(errno, "cannot make a socket");
    // Nobody may connect before the permissions stand.
    const mode_t old = umask(0777);
    const int bound = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const int error = errno;
    umask(old);
    if (bound != 0) rpc::fail_errno(error, fmt::format("cannot bind socket '{}'", path));
    const gid_t group = socket_group(config);
    if (group != static_cast<gid_t>(-1) && ::chown(path.c_str(), static_cast<uid_t>(-1), group) != 0)
        rpc::fail_errno(errno, fmt::format("cannot change the group of '{}'", path));
    if (::chmod(path.c_str(), permissions(config, door)) != 0)
        rpc::fail_errno(errno, fmt::format("cannot change the mode of '{}'", path));
    return socket;
}

struct BoundSocket {
    Fd socket;
    Door door;
    std::string path;
};

// Who sees libvirt-sock answer may count on the others: it is the last that listens.
void listen_on(std::vector<BoundSocket>& sockets, int backlog) {
    for (auto& bound : sockets | std::views::reverse)
        if (::listen(bound.socket.get(), backlog) != 0) rpc::fail_errno(errno, fmt::format("cannot listen on '{}'", bound.path));
}

// ---- TCP and TLS ----

struct AddressList {
    addrinfo* first = nullptr;
    ~AddressList() {
        if (first) freeaddrinfo(first);
    }
};

// One socket for each address that the name stands for: IPv4 and IPv6 apart, so that neither shadows the other.
std::vector<Fd> make_network_sockets(const std::string& address, const std::string& port, int backlog) {
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE;
    hints.ai_socktype = SOCK_STREAM;
    AddressList list;
    if (const int error = getaddrinfo(address.empty() ? nullptr : address.c_str(), port.c_str(), &hints, &list.first); error != 0)
        rpc::fail(Code::system_error, "Unable to resolve address '{}' service '{}': {}", address, port, gai_strerror(error));
    std::vector<Fd> sockets;
    int failure = 0;
    for (const auto* one = list.first; one; one = one->ai_next) {
        Fd socket(::socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!socket) continue; // a kernel without IPv6
        const int on = 1;
        setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (one->ai_family == AF_INET6) setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        if (::bind(socket.get(), one->ai_addr, one->ai_addrlen) != 0 || ::listen(socket.get(), backlog) != 0)
            failure = errno;
        else
            sockets.push_back(std::move(socket));
    }
    // An address that this host lacks (IPv6 switched off) is no reason to stay shut on the other.
    if (sockets.empty() || failure == EADDRINUSE)
        rpc::fail_errno(failure,
                        fmt::format("Unable to bind to port {} of '{}'", port, address.empty() ? "any address" : address));
    return sockets;
}

bool is_network_socket(int fd) {
    sockaddr_storage name{};
    socklen_t size = sizeof name;
    return getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) == 0 &&
           (name.ss_family == AF_INET || name.ss_family == AF_INET6);
}

// The names of passed descriptors, which are those of their socket units unless FileDescriptorName= says otherwise.
std::vector<std::string> passed_names(int count) {
    std::vector<std::string> names(static_cast<std::size_t>(count));
    char** raw = nullptr;
    const int known = sd_listen_fds_with_names(0, &raw);
    for (int i = 0; i < known; ++i) {
        if (i < count) names[static_cast<std::size_t>(i)] = raw[i];
        ::free(raw[i]);
    }
    ::free(raw);
    return names;
}

// TLS reads certificates when it is first wanted: without network sockets none are needed.
class NetworkDoors {
  public:
    NetworkDoors(Host& host, const NetworkConfig& config)
        : host_(host)
        , config_(config) {}
    std::shared_ptr<NetworkDoor> tcp() { return tcp_ ? tcp_ : tcp_ = make_tcp_door(host_, config_); }
    std::shared_ptr<NetworkDoor> tls() { return tls_ ? tls_ : tls_ = make_tls_door(host_, config_); }

  private:
    Host& host_;
    const NetworkConfig& config_;
    std::shared_ptr<NetworkDoor> tcp_, tls_;
};

std::string bound_path(int fd) {
    sockaddr_un address{};
    socklen_t size = sizeof address;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 || address.sun_family != AF_UNIX) return {};
    return address.sun_path;
}

} // namespace

std::vector<std::unique_ptr<Listener>> open_listeners(Host& host, const NetworkConfig& network, bool listen) {
    const Config& config = host.config();
    const std::string folder = config.unix_sock_dir.empty() ? host.paths().run : config.unix_sock_dir;
    store::make_folders(folder, 0755);
    std::vector<std::unique_ptr<Listener>> listeners;
    std::set<std::string> activated;
    NetworkDoors doors(host, network);
    bool network_activated = false;
    const std::vector<std::string> names = passed_names(sd_listen_fds(0));
    const int passed = sd_listen_fds(1);
    for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + passed; ++fd) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        if (is_network_socket(fd)) {
            const std::string& unit = names[static_cast<std::size_t>(fd - SD_LISTEN_FDS_START)];
            auto door = unit.find("tls") != std::string::npos ? doors.tls() : doors.tcp();
            listeners.push_back(std::make_unique<Listener>(host, Fd(fd), std::move(door), unit));
            network_activated = true;
            continue;
        }
        const std::string path = bound_path(fd);
        const std::string name = path.substr(path.find_last_of('/') + 1);
        const Door door = name.ends_with("-ro")                     ? Door::read_only
                          : name.find("admin") != std::string::npos ? Door::admin
                                                                    : Door::read_write;
        activated.insert(path);
        listeners.push_back(std::make_unique<Listener>(host, Fd(fd), door, path));
    }
    std::vector<BoundSocket> sockets;
    for (const auto& [name, door] : socket_names()) {
        const std::string path = folder + "/" + name;
        if (!activated.contains(path)) sockets.push_back({make_socket(config, path, door), door, path});
    }
    listen_on(sockets, config.max_queued_clients);
    for (auto& [socket, door, path] : sockets) {
        listeners.push_back(std::make_unique<Listener>(host, std::move(socket), door, path));
        listeners.back()->remove_on_close = true;
    }
    if (!listen || network_activated) return listeners;
    const auto open = [&](const std::string& port, const std::shared_ptr<NetworkDoor>& door) {
        for (auto& socket : make_network_sockets(network.listen_addr, port, config.max_queued_clients))
            listeners.push_back(std::make_unique<Listener>(host, std::move(socket), door, "port " + port));
    };
    if (network.listen_tcp) open(network.tcp_port, doors.tcp());
    if (network.listen_tls) open(network.tls_port, doors.tls());
    return listeners;
}

} // namespace lodge::daemon
