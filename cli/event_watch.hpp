// Waiting for events: what every event command has in common. Callbacks tell the watch what they hear; the command ends when
// there is enough, or time is up.
#pragma once
#include "cli/event_loop.hpp"
#include "cli/session.hpp"

#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

namespace lodge::cli {

// Counts and prints what callbacks bring, until there is enough.
class Watch {
  public:
    Watch(Session& session, const Arguments& arguments);

    // In the thread of the event loop.
    void tell(const char* kind, std::string_view name, std::string_view object, std::string_view detail, bool quoted);
    // The same for what has a line of its own.
    void tell_raw(const std::string& line, const Json& json);
    // False when nothing came in time.
    bool wait();

  private:
    using Clock = std::chrono::steady_clock;
    Session& session_;
    bool loop_, stamped_;
    std::optional<Clock::time_point> until_;
    int count_ = 0;
    Waiter waiter_;
};

// Registered callbacks, taken back in any case before their sinks go.
class Registrations {
  public:
    explicit Registrations(virConnectPtr connection)
        : connection_(connection) {}
    ~Registrations() {
        for (const auto& [id, deregister] : registered_) deregister(connection_, id);
    }
    Registrations(const Registrations&) = delete;
    Registrations& operator=(const Registrations&) = delete;
    using Deregister = int (*)(virConnectPtr, int);
    void add(int id, Deregister deregister) { registered_.emplace_back(id, deregister); }

  private:
    virConnectPtr connection_;
    std::vector<std::pair<int, Deregister>> registered_;
};

// Nothing received means exit status 1, as with virsh; there is no more to say.
struct NothingReceived : Failure {
    NothingReceived()
        : Failure("") {}
};

// --list prints what can be waited for and gives nothing; otherwise the kind that --event names, which must be one of these.
std::optional<std::string> wanted_event(Session& session, const Arguments& arguments,
                                        std::initializer_list<std::string_view> kinds);

} // namespace lodge::cli
