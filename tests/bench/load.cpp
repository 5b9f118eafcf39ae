// The bench's client: keeps a daemon busy and prints what it managed per second.
//   load libvirt URI SECONDS            one libvirt client, one call at a time
//   load raw SOCKET CLIENTS SECONDS     so many connections from one thread, one call at a time each, without libvirt's client
//   load echo SOCKET                    a server that sends every frame back: the bare limit for the two above
//   load define URI SECONDS FILE        defines the document in FILE again and again under changing names
//   load stats URI TIMES                milliseconds that all statistics of all domains take, the median
//   load subscribers SOCKET COUNT FILE  redefines the document in FILE; how long until the last of COUNT connections has heard of
//   it
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

class Deadline {
  public:
    explicit Deadline(double seconds)
        : end_(begin_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds))) {}
    bool passed() const { return Clock::now() >= end_; }
    void print(long count) const {
        std::printf("%.0f\n", static_cast<double>(count) / std::chrono::duration<double>(Clock::now() - begin_).count());
    }

  private:
    Clock::time_point begin_ = Clock::now(), end_;
};

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

int socket_at(const char* path, bool listen_there) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    if (listen_there) {
        ::unlink(path);
        if (::bind(fd, generic, sizeof address) != 0 || ::listen(fd, 128) != 0) fail(path);
    } else if (::connect(fd, generic, sizeof address) != 0)
        fail(path);
    return fd;
}

void watch(int poll, int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (::epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
}

void append_word(std::string& out, std::uint32_t word) {
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(word >> shift);
}

std::string frame(std::uint32_t procedure, const std::string& payload = {}) {
    std::string out;
    for (const std::uint32_t word : {static_cast<std::uint32_t>(28 + payload.size()), 0x20008086u, 1u, procedure, 0u, 1u, 0u})
        append_word(out, word);
    return out + payload;
}

void send_all(int fd, const std::string& bytes) {
    if (::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) fail("send");
}

void receive(int fd, std::string& into) {
    char buffer[4096];
    for (;;) {
        const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
        if (got <= 0) fail("recv");
        into.append(buffer, static_cast<std::size_t>(got));
        if (into.size() < 4) continue;
        std::uint32_t size = 0;
        for (int i = 0; i < 4; ++i) size = size << 8 | static_cast<unsigned char>(into[static_cast<std::size_t>(i)]);
        if (into.size() >= size) return into.clear();
    }
}

int opened(const char* path) {
    const int fd = socket_at(path, false);
    std::string reply, open;
    append_word(open, 1);
    append_word(open, 14);
    open += std::string("qemu:///system\0\0", 16);
    append_word(open, 0);
    send_all(fd, frame(66)); // which authentication?
    receive(fd, reply);
    send_all(fd, frame(1, open));
    receive(fd, reply);
    return fd;
}

void raw(const char* path, int clients, double seconds) {
    const int poll = ::epoll_create1(EPOLL_CLOEXEC);
    const std::string call = frame(157); // the daemon's version
    std::vector<int> peers;
    for (int i = 0; i < clients; ++i) watch(poll, peers.emplace_back(opened(path)));
    std::vector<epoll_event> ready(static_cast<std::size_t>(clients));
    std::string reply;
    const Deadline deadline(seconds);
    long count = 0;
    for (const int fd : peers) send_all(fd, call);
    while (!deadline.passed()) {
        const int events = ::epoll_wait(poll, ready.data(), clients, 1000);
        for (int i = 0; i < events; ++i) {
            const int fd = ready[static_cast<std::size_t>(i)].data.fd;
            receive(fd, reply);
            ++count;
            send_all(fd, call);
        }
    }
    deadline.print(count);
}

void append_text(std::string& out, const std::string& text) {
    append_word(out, static_cast<std::uint32_t>(text.size()));
    out += text;
    out.append((4 - text.size() % 4) % 4, '\0');
}

// Milliseconds (median) from sending a redefinition until the last of `count` subscribers has heard of it.
void subscribers(const char* path, int count, const char* document) {
    std::ifstream file(document);
    std::stringstream text;
    text << file.rdbuf();
    std::string xml = text.str(), definition, subscription, reply;
    xml.replace(xml.find("@NAME@"), 6, "bench-heard").replace(xml.find("@UUID@"), 6, "be9c0000-0000-4000-8000-00000000eeee");
    append_text(definition, xml);
    append_word(subscription, 0); // VIR_DOMAIN_EVENT_ID_LIFECYCLE
    append_word(subscription, 0); // of every domain
    const int definer = opened(path), poll = ::epoll_create1(EPOLL_CLOEXEC);
    send_all(definer, frame(11, definition));
    receive(definer, reply);
    for (int i = 0; i < count; ++i) {
        const int fd = opened(path);
        send_all(fd, frame(316, subscription));
        receive(fd, reply);
        watch(poll, fd);
    }
    std::vector<double> times;
    std::vector<epoll_event> ready(static_cast<std::size_t>(count));
    while (times.size() < 200) {
        const auto begin = Clock::now();
        send_all(definer, frame(11, definition));
        for (int heard = 0; heard < count;) {
            const int events = ::epoll_wait(poll, ready.data(), count, 5000);
            if (events <= 0) fail("no event within 5 s");
            for (int i = 0; i < events; ++i, ++heard) receive(ready[static_cast<std::size_t>(i)].data.fd, reply);
        }
        times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
        receive(definer, reply);
    }
    std::sort(times.begin(), times.end());
    std::printf("%.3f\n", times[times.size() / 2]);
}

void echo(const char* path) {
    const int poll = ::epoll_create1(EPOLL_CLOEXEC), listener = socket_at(path, true);
    watch(poll, listener);
    epoll_event ready[64];
    char buffer[4096];
    for (;;) {
        const int events = ::epoll_wait(poll, ready, 64, -1);
        for (int i = 0; i < events; ++i) {
            const int fd = ready[i].data.fd;
            if (fd == listener) {
                watch(poll, ::accept(listener, nullptr, nullptr));
                continue;
            }
            const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
            if (got <= 0)
                ::close(fd);
            else if (::send(fd, buffer, static_cast<std::size_t>(got), MSG_NOSIGNAL) != got)
                fail("send");
        }
    }
}

virConnectPtr connect(const char* uri) {
    virConnectPtr connection = virConnectOpen(uri);
    if (!connection) throw std::runtime_error(virGetLastErrorMessage());
    return connection;
}

void libvirt(const char* uri, double seconds) {
    virConnectPtr connection = connect(uri);
    const Deadline deadline(seconds);
    long count = 0;
    for (unsigned long version = 0; !deadline.passed(); ++count)
        if (virConnectGetLibVersion(connection, &version) != 0) throw std::runtime_error(virGetLastErrorMessage());
    deadline.print(count);
    virConnectClose(connection);
}

void stats(const char* uri, std::size_t times) {
    virConnectPtr connection = connect(uri);
    std::vector<double> took;
    while (took.size() < times) {
        const auto begin = Clock::now();
        virDomainStatsRecordPtr* records = nullptr;
        if (virConnectGetAllDomainStats(connection, 0, &records, 0) < 0) throw std::runtime_error(virGetLastErrorMessage());
        took.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
        virDomainStatsRecordListFree(records);
    }
    std::ranges::sort(took);
    std::printf("%.2f\n", took[took.size() / 2]);
    virConnectClose(connection);
}

void define(const char* uri, double seconds, const char* path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    const std::string document = text.str();
    virConnectPtr connection = connect(uri);
    const Deadline deadline(seconds);
    long count = 0;
    for (; !deadline.passed(); ++count) {
        std::string named = document;
        named.replace(named.find("@NAME@"), 6, "bench" + std::to_string(count % 100));
        char uuid[40];
        std::snprintf(uuid, sizeof uuid, "be9c0000-0000-4000-8000-%012ld", count % 100);
        named.replace(named.find("@UUID@"), 6, uuid);
        virDomainPtr domain = virDomainDefineXML(connection, named.c_str());
        if (!domain) throw std::runtime_error(virGetLastErrorMessage());
        virDomainFree(domain);
    }
    deadline.print(count);
    virConnectClose(connection);
}

} // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 2 ? argv[1] : "";
    try {
        if (what == "libvirt" && argc == 4)
            libvirt(argv[2], std::stod(argv[3]));
        else if (what == "raw" && argc == 5)
            raw(argv[2], std::stoi(argv[3]), std::stod(argv[4]));
        else if (what == "echo" && argc == 3)
            echo(argv[2]);
        else if (what == "subscribers" && argc == 5)
            subscribers(argv[2], std::stoi(argv[3]), argv[4]);
        else if (what == "define" && argc == 5)
            define(argv[2], std::stod(argv[3]), argv[4]);
        else if (what == "stats" && argc == 4)
            stats(argv[2], std::stoul(argv[3]));
        else
            throw std::runtime_error("load libvirt URI SECONDS | raw SOCKET CLIENTS SECONDS | echo SOCKET | define URI SECONDS "
                                     "FILE | stats URI TIMES | subscribers SOCKET COUNT FILE");
    } catch (const std::exception& error) {
        std::fprintf(stderr, "load: %s\n", error.what());
        return 1;
    }
}
