// One client of the daemon: its session, who it is, what it has opened, its event subscriptions and streams. A handler gets it
// with every call. Lives while its session does and while a call of its is still at work.
#pragma once
#include "rpc/session.hpp"
#include <map>
#include <string>
#include <sys/types.h>

namespace lodge::daemon {

class Host;
class Hypervisor;
class ClientStream;
class Client;
using ClientPtr = std::shared_ptr<Client>;
using rpc::Code;
using rpc::Fd;
using rpc::From;
using rpc::Task;

// The error domain of the driver that serves this call's procedure.
From default_domain(const rpc::Header& call);

enum class Door { read_write, read_only, admin }; // which socket the client came through

struct Credentials {
    pid_t pid = 0;
    uid_t uid = 0;
    gid_t gid = 0;
};

class Client : public rpc::SessionOwner, public std::enable_shared_from_this<Client> {
  public:
    Client(Host& host, std::shared_ptr<rpc::Session> session, Door door, Credentials credentials, std::uint64_t id);
    ~Client() override;

    Host& host() { return host_; }
    rpc::Session& session() { return *session_; }
    Door door() const { return door_; }
    const Credentials& credentials() const { return credentials_; }
    std::uint64_t id() const { return id_; }
    std::int64_t connected_at() const { return connected_at_; } // seconds since the epoch

    bool is_authenticated() const { return authenticated_; }
    void authenticate();
    bool is_readonly() const { return readonly_; }

    // The hypervisor of the opened connection; refuses with libvirt's words when there is none.
    Hypervisor& hypervisor();
    bool is_open() const { return open_; }
    void open(Hypervisor* hypervisor, bool readonly, std::string uri);
    void close_connection();
    const std::string& uri() const { return uri_; }

    void reply_error(const rpc::Header& call, const rpc::Error& error);
    template<class Ret> void reply(const rpc::Header& call, const Ret& ret, std::vector<Fd> fds = {}) {
        const auto count = static_cast<std::uint32_t>(fds.size());
        session_->send(
            reply_header(call, fds.empty()),
            [&](rpc::Encoder& io) {
                if (count > 0) io(count);
                io(ret);
            },
            std::move(fds));
    }
    template<class Event> void send_event(std::uint32_t program, std::uint32_t procedure, const Event& event) {
        rpc::Header header{program, 1, static_cast<std::int32_t>(procedure), rpc::MessageType::message, 1, rpc::Status::ok};
        session_->send(header, [&](rpc::Encoder& io) { io(event); });
    }

    // Runs a handler's coroutine, replies with what it returns or throws, and counts it as outstanding meanwhile.
    template<class Ret> void run(rpc::Header call, const char* name, Task<Ret> task) {
        begin_call();
        rpc::spawn(executor(), name, serve<Ret>(shared_from_this(), call, std::move(task)));
    }

    // For handlers that reply themselves (streams, descriptors): only their failure is answered here.
    void run_replying(rpc::Header call, const char* name, Task<> task);

    void add_stream(std::shared_ptr<ClientStream> stream);
    void drop_stream(std::uint32_t serial);
    // Called when the client is gone or closes its connection: auto-destroy, consoles, subscriptions.
    void on_departure(std::function<void()> action) { departures_.push_back(std::move(action)); }

    bool wants_close_event = false;
    rpc::Executor executor();

    bool on_message(const rpc::Header& header, std::string_view payload, std::vector<Fd> fds) override;
    void on_closed(const std::string& why) override;
    void on_drained() override;

  private:
    template<class Ret> static Task<> serve(ClientPtr self, rpc::Header call, Task<Ret> task) {
        try {
            if constexpr (std::is_void_v<Ret>) {
                co_await std::move(task);
                self->reply(call, rpc::Nothing{});
            } else {
                const Ret ret = co_await std::move(task);
                self->reply(call, ret);
            }
        } catch (...) {
            self->reply_exception(call, std::current_exception());
        }
        self->end_call();
    }
    static Task<> serve_replying(ClientPtr self, rpc::Header call, Task<> task);
    static rpc::Header reply_header(const rpc::Header& call, bool without_fds);
    void reply_exception(const rpc::Header& call, std::exception_ptr failure);
    void begin_call() { ++outstanding_; }
    void end_call();
    void depart();
    friend void dispatch(Client&, const rpc::Header&, std::string_view, std::vector<Fd>);

    Host& host_;
    std::shared_ptr<rpc::Session> session_;
    Door door_;
    Credentials credentials_;
    std::uint64_t id_;
    std::int64_t connected_at_;
    bool authenticated_ = false, readonly_ = false, open_ = false;
    Hypervisor* hypervisor_ = nullptr;
    std::string uri_;
    int outstanding_ = 0;
    std::map<std::uint32_t, std::shared_ptr<ClientStream>> streams_;
    std::vector<std::function<void()>> departures_;
};

} // namespace lodge::daemon
