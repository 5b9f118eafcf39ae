#include "cli/session.hpp"

#include "cli/commands.hpp"
#include "cli/event_loop.hpp"
#include "cli/help.hpp"

#include <chrono>
#include <fmt/chrono.h>

namespace lodge::cli {

std::string one_line(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c == '\n' || c == '\r') c = ' ';
        if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
    }
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return out;
}

void Session::write(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void Session::error(std::string_view text) {
    flush();
    auto line = fmt::format("error: {}\n", one_line(text));
    std::fwrite(line.data(), 1, line.size(), stderr);
    log(line);
}

void Session::log(std::string_view text) {
    if (settings.log_file.empty()) return;
    if (auto* file = std::fopen(settings.log_file.c_str(), "ae")) {
        auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
        auto line = fmt::format("[{:%Y.%m.%d %H:%M:%S} lodge] {}", now, text);
        std::fwrite(line.data(), 1, line.size(), file);
        std::fclose(file);
    }
}

void Session::show(const Json& json) { write(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"); }

void Session::show(const Table& table) {
    if (json())
        show(table.json());
    else
        write(table.text(settings.quiet));
}

void Session::show(const Pairs& pairs) {
    if (json())
        show(pairs.json());
    else
        write(pairs.text());
}

void Session::show_value(const Cell& cell, std::string_view end) {
    if (json()) return show(cell.value);
    write(cell.text);
    write(end);
}

void Session::open(const std::string& name, bool readonly) {
    listen_to_libvirt();
    connection_.reset(virConnectOpenAuth(name.c_str(), virConnectAuthPtrDefault, readonly ? VIR_CONNECT_RO : 0));
    if (!connection_) return;
    if (!EventLoop::running() || settings.keepalive_interval == 0) return;
    // who waits for hours must hear that the other side is gone; who asks once need not
    int interval = settings.keepalive_interval < 0 ? 5 : settings.keepalive_interval;
    int count = settings.keepalive_count < 0 ? 6 : settings.keepalive_count;
    if (virConnectSetKeepAlive(connection_.get(), interval, static_cast<unsigned>(count)) < 0) forget_cause();
}

std::string Session::uri() const {
    if (!settings.uri.empty()) return settings.uri;
    if (const char* preset = std::getenv("LIBVIRT_DEFAULT_URI"); preset && *preset) return preset;
    // libvirt would probe for hypervisors on its own (and find a per-user one); lodge is about this host's guests
    return "qemu:///system";
}

virConnectPtr Session::connection() {
    if (connection_ && settings.interactive && virConnectIsAlive(connection_.get()) == 0) connection_.reset();
    if (!connection_) {
        open(uri(), settings.readonly);
        if (!connection_) throw NoConnection("failed to connect to the hypervisor: " + cause());
    }
    return connection_.get();
}

void Session::connect(const std::string& name, bool readonly) {
    connection_.reset();
    settings.uri = name;
    settings.readonly = readonly;
    connection();
}

bool Session::run_line(std::string_view line) {
    try {
        return run_words(split_line(line));
    } catch (const Failure& failure) {
        error(failure.what());
        return false;
    }
}

bool Session::run_words(const std::vector<Words>& commands) {
    std::vector<std::pair<const Command*, Arguments>> ready;
    try {
        for (const auto& words : commands) {
            const auto* command = find_command(words.front());
            if (!command) fail("unknown command: '{}'", words.front());
            ready.emplace_back(command, parse(*command, std::span(words).subspan(1)));
        }
    } catch (const Failure& failure) {
        error(failure.what());
        return false;
    }
    for (const auto& [command, arguments] : ready)
        if (!connection_ && (command->needs == Need::events || arguments.has("console"))) EventLoop::start();
    bool good = !ready.empty();
    for (const auto& [command, arguments] : ready) {
        good = run(*command, arguments);
        if (leaving) break;
    }
    return good;
}

bool Session::run(const Command& command, const Arguments& arguments) {
    auto begin = std::chrono::steady_clock::now();
    format_ = arguments.format.value_or(settings.format);
    bool good = true;
    log(fmt::format("{}\n", command.name));
    try {
        forget_cause();
        if (arguments.wants_help) {
            write(help_of(command));
        } else {
            if (command.needs != Need::nothing) connection();
            command.run(*this, arguments);
        }
    } catch (const NoConnection& failure) {
        error(failure.what());
        return false;
    } catch (const std::exception& failure) {
        if (settings.timing)
            good = false;
        else
            extra("{}", "\n");
        if (*failure.what()) error(failure.what());
        good = false;
    }
    if (leaving || (!good && !settings.timing)) {
        flush();
        return good;
    }
    std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    if (settings.timing && !json())
        print("\n(Time: {:.3f} ms)\n\n", took.count());
    else if (!settings.timing)
        extra("{}", "\n");
    flush();
    return good;
}

} // namespace lodge::cli
