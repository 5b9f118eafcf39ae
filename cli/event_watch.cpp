#include "cli/event_watch.hpp"

#include <algorithm>
#include <fmt/chrono.h>

namespace lodge::cli {

static std::string timestamp() {
    auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    auto seconds = std::chrono::floor<std::chrono::seconds>(now);
    return fmt::format("{:%Y-%m-%d %H:%M:%S}.{:03}+0000", seconds, (now - seconds).count());
}

Watch::Watch(Session& session, const Arguments& arguments)
    : session_(session)
    , loop_(arguments.has("loop"))
    , stamped_(arguments.has("timestamp")) {
    if (auto seconds = arguments.number<unsigned>("timeout")) {
        if (*seconds == 0) arguments.malformed("timeout");
        until_ = Clock::now() + std::chrono::seconds(*seconds);
    }
}

void Watch::tell(const char* kind, std::string_view name, std::string_view object, std::string_view detail, bool quoted) {
    std::lock_guard lock(waiter_.mutex);
    if (!loop_ && count_ > 0) return;
    count_++;
    if (session_.json()) {
        auto plain = detail;
        while (!plain.empty() && (plain[0] == ':' || plain[0] == ' ')) plain.remove_prefix(1);
        Json json = {{"time", timestamp()}, {"event", name}, {kind, object}, {"detail", plain}};
        session_.write(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
    } else {
        session_.print("{}event '{}' for {} {}{}\n", stamped_ ? timestamp() + ": " : "", name, kind,
                       quoted ? fmt::format("'{}'", object) : std::string(object), detail);
    }
    session_.flush();
    waiter_.wake();
}

void Watch::tell_raw(const std::string& line, const Json& json) {
    std::lock_guard lock(waiter_.mutex);
    if (!loop_ && count_ > 0) return;
    count_++;
    const std::string start = stamped_ ? timestamp() + ": " : "";
    session_.write(session_.json() ? json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n" : start + line);
    session_.flush();
    waiter_.wake();
}

bool Watch::wait() {
    using namespace std::chrono_literals;
    InterruptGuard guard;
    bool enough = false;
    for (auto now = Clock::now(); !enough && !InterruptGuard::interrupted() && (!until_ || now < *until_); now = Clock::now()) {
        if (virConnectIsAlive(session_.connection()) != 1) fail("{}", "the connection to the daemon was lost");
        auto next = now + 500ms;
        enough = waiter_.wait(until_ ? std::min(next, *until_) : next, [&] { return !loop_ && count_ > 0; });
    }
    if (!enough) session_.extra("event loop {}\n", InterruptGuard::interrupted() ? "interrupted" : "timed out");
    session_.extra("events received: {}\n", count_);
    return count_ > 0;
}

std::optional<std::string> wanted_event(Session& session, const Arguments& arguments,
                                        std::initializer_list<std::string_view> kinds) {
    if (arguments.has("list")) {
        auto names = Json::array();
        for (const auto kind : kinds) names.push_back(kind);
        if (session.json()) session.show(names);
        for (const auto kind : kinds)
            if (!session.json()) session.print("{}\n", kind);
        return std::nullopt;
    }
    auto wanted = arguments.text("event");
    if (!wanted) fail("{}", "either --list or --event <type> is required");
    if (std::ranges::find(kinds, *wanted) == kinds.end()) fail("unknown event type {}", *wanted);
    return wanted;
}

} // namespace lodge::cli
