// The QMP words of one QEMU: bytes on a socket, replies matched by id, events in order. Many commands may be on their way at
// once; QEMU answers them in the order in which they were sent. Knows nothing of machines: that is machine.hpp's.
// Control thread only.
#pragma once
#include "rpc/error.hpp"
#include "rpc/task.hpp"
#include <nlohmann/json.hpp>
#include <string>

namespace lodge::drivers::qemu {

using nlohmann::json;
using rpc::Code;
using rpc::Executor;
using rpc::Fd;
using rpc::Task;
using namespace std::chrono_literals;

struct QmpEvent {
    std::string name;
    std::int64_t seconds = 0;
    std::uint32_t micros = 0;
    json data; // an object, or null
};

struct QmpOptions {
    std::string name;                        // of the guest: begins each line of the log
    std::size_t max_line = 10 * 1024 * 1024; // a longer message cuts the monitor off
    unsigned max_events_per_second = 20'000; // so does a storm of events
    std::function<void(const QmpEvent&)> on_event;
    std::function<void(const std::string& reason)> on_closed; // once, when the monitor is no more; not after close()
};

class Qmp : public std::enable_shared_from_this<Qmp> {
    struct Private {};
    struct Slot;

  public:
    // What send() gives back. May be awaited later or dropped.
    class Pending {
      public:
        // The "return" value. Throws Code::internal_error with QEMU's own words when it refused, or with why the monitor closed;
        // Code::operation_timeout when nothing came in time (the answer is then ignored when it does come).
        Task<json> result(std::chrono::milliseconds limit = default_limit) { return result_of(slot_, limit); }
        // The whole reply, {"return": …} or {"error": {"class", "desc"}}; throws only when there was none.
        Task<json> reply(std::chrono::milliseconds limit = default_limit) { return reply_of(slot_, limit); }

      private:
        friend class Qmp;
        std::shared_ptr<Slot> slot_;
    };
    static constexpr std::chrono::milliseconds default_limit = 60s;

    // `socket` is a connected stream socket; QEMU need not have accepted it yet. Sends qmp_capabilities at once, so commands may
    // follow without waiting for anything.
    static std::shared_ptr<Qmp> open(Executor executor, Fd socket, QmpOptions options);
    Qmp(Private, Executor executor, Fd socket, QmpOptions options);
    ~Qmp();

    // The greeting's "QMP" object, once both it and the answer to qmp_capabilities have come.
    Task<json> greeting(std::chrono::milliseconds limit) { return greeting_of(shared_from_this(), limit); }

    Pending send(std::string command, json arguments = nullptr, Fd with_fd = {});
    // One command and its answer.
    Task<json> ask(std::string command, json arguments = nullptr, std::chrono::milliseconds limit = default_limit) {
        return send(std::move(command), std::move(arguments)).result(limit);
    }
    // Ends every wait with `reason`; nothing is heard afterwards.
    void close(const std::string& reason);
    // How long the oldest question has been without an answer.
    std::chrono::milliseconds silence() const;
    bool closed() const { return !reason_.empty(); }
    const std::string& reason() const { return reason_; }

  private:
    struct Io;
    static Task<json> result_of(std::shared_ptr<Slot> slot, std::chrono::milliseconds limit);
    static Task<json> reply_of(std::shared_ptr<Slot> slot, std::chrono::milliseconds limit);
    static Task<json> greeting_of(std::shared_ptr<Qmp> self, std::chrono::milliseconds limit);
    Pending enqueue(std::string command, json message, Fd with_fd);
    void await_input();
    void await_output();
    void take_input();
    bool take_line(std::string_view line);
    bool take_event(json& message);
    void give_output();
    void end(const std::string& reason);

    QmpOptions options_;
    std::unique_ptr<Io> io_;
    std::string reason_;
    std::shared_ptr<Slot> greeting_, capabilities_;
    std::map<std::uint64_t, std::shared_ptr<Slot>> waiting_;
    std::uint64_t next_id_ = 1;
    std::string input_;
    std::size_t searched_ = 0; // of input_: no line end up to here
    std::int64_t event_second_ = 0;
    unsigned events_this_second_ = 0;
};

// Makes the listening socket that QEMU is given by number and a connection to it. The path stays, so a later daemon can connect
// again.
struct QmpSocket {
    Fd listener; // for QEMU; close ours once QEMU has it, or its death goes unnoticed
    Fd connection;
};
QmpSocket listen_qmp(const std::string& path);
// Connects to a QEMU that an earlier daemon left.
Fd connect_qmp(const std::string& path);

} // namespace lodge::drivers::qemu
