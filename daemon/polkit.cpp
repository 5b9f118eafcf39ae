#include "daemon/polkit.hpp"
#include <fstream>
#include <memory>
#include <sstream>
#include <systemd/sd-bus.h>

namespace lodge::daemon::polkit {

namespace {

// Start time of a process in clock ticks since boot (proc(5), field 22): with the pid it names the process for good.
std::uint64_t start_time(pid_t pid) {
    std::ifstream in(fmt::format("/proc/{}/stat", pid));
    std::string text((std::istreambuf_iterator<char>(in)), {});
    const auto end_of_name = text.rfind(')');
    if (end_of_name == std::string::npos) return 0;
    std::istringstream fields(text.substr(end_of_name + 1));
    std::string field;
    for (int i = 3; i <= 22; ++i) fields >> field;
    return std::strtoull(field.c_str(), nullptr, 10);
}

struct BusCloser {
    void operator()(sd_bus* bus) const { sd_bus_flush_close_unref(bus); }
    void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};

[[noreturn]] void refuse(const std::string& why) { rpc::fail(From::polkit, Code::auth_failed, "{}", why); }

void ask(Credentials who, const std::string& action) {
    sd_bus* raw = nullptr;
    if (const int error = sd_bus_open_system(&raw); error < 0)
        refuse(fmt::format("authentication unavailable: cannot reach polkit over D-Bus: {}", rpc::errno_text(-error)));
    std::unique_ptr<sd_bus, BusCloser> bus(raw);
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message* reply = nullptr;
    constexpr unsigned allow_interaction = 1;
    const int sent = sd_bus_call_method(
        bus.get(), "org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority", "org.freedesktop.PolicyKit1.Authority",
        "CheckAuthorization", &error, &reply, "(sa{sv})sa{ss}us", "unix-process", 3, "pid", "u", static_cast<unsigned>(who.pid),
        "start-time", "t", start_time(who.pid), "uid", "i", static_cast<int>(who.uid), action.c_str(), 0, allow_interaction, "");
    std::unique_ptr<sd_bus_message, BusCloser> held(reply);
    if (sent < 0) {
        const std::string text = error.message ? error.message : rpc::errno_text(-sent);
        sd_bus_error_free(&error);
        refuse(fmt::format("authentication unavailable: polkit did not answer: {}", text));
    }
    int authorized = 0, challenge = 0;
    if (sd_bus_message_enter_container(reply, 'r', "bba{ss}") < 0 ||
        sd_bus_message_read(reply, "bb", &authorized, &challenge) < 0)
        refuse("authentication unavailable: polkit's answer could not be read");
    if (!authorized && challenge)
        refuse(fmt::format("authentication unavailable: no polkit agent available to authenticate action '{}'", action));
    if (!authorized) refuse(fmt::format("access denied by policy to action '{}'", action));
}

} // namespace

Task<> authorize(Credentials who, std::string action) {
    co_await rpc::blocking([&] { ask(who, action); });
}

} // namespace lodge::daemon::polkit
