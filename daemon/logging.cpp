#include "daemon/logging.hpp"
#include "rpc/error.hpp"
#include <cstdlib>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/sinks/systemd_sink.h>
#include <spdlog/spdlog.h>
#include <sstream>

namespace lodge::daemon {

static int current_level = 3;
static std::string current_outputs;

static spdlog::level::level_enum to_spdlog(int level) {
    switch (level) {
    case 1: return spdlog::level::debug;
    case 2: return spdlog::level::info;
    case 3: return spdlog::level::warn;
    default: return spdlog::level::err;
    }
}

static spdlog::sink_ptr make_sink(const std::string& output) {
    const auto first = output.find(':');
    const std::string rest = first == std::string::npos ? "" : output.substr(first + 1);
    const int level = std::atoi(output.c_str());
    if (level < 1 || level > 4 || rest.empty())
        rpc::fail(rpc::Code::invalid_arg, "log output '{}' is not LEVEL:DESTINATION with a level from 1 to 4", output);
    spdlog::sink_ptr sink;
    if (rest == "stderr")
        sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    else if (rest == "journald")
        sink = std::make_shared<spdlog::sinks::systemd_sink_mt>("lodged");
    else if (rest.starts_with("syslog:"))
        sink = std::make_shared<spdlog::sinks::syslog_sink_mt>(rest.substr(7), 0, 0, true);
    else if (rest.starts_with("file:/"))
        sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(rest.substr(5));
    else
        rpc::fail(rpc::Code::invalid_arg, "log output '{}': the destination is none of stderr, journald, syslog:NAME, file:/PATH",
                  output);
    sink->set_level(to_spdlog(level));
    return sink;
}

void set_log_outputs(const std::string& outputs) {
    std::vector<spdlog::sink_ptr> sinks;
    std::string effective = outputs;
    if (effective.empty())
        effective =
            std::getenv("JOURNAL_STREAM") ? fmt::format("{}:journald", current_level) : fmt::format("{}:stderr", current_level);
    std::istringstream in(effective);
    for (std::string output; in >> output;) sinks.push_back(make_sink(output));
    auto logger = std::make_shared<spdlog::logger>("lodged", sinks.begin(), sinks.end());
    logger->set_level(to_spdlog(current_level));
    logger->set_pattern("%Y-%m-%d %H:%M:%S.%e%z %l: %v");
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(logger);
    current_outputs = effective;
}

void set_up_logging(int level, const std::string& outputs) {
    if (level < 1 || level > 4) rpc::fail(rpc::Code::invalid_arg, "log level {} is not one of 1 (debug) to 4 (error)", level);
    current_level = level;
    set_log_outputs(outputs);
}

void set_log_level(int level) {
    if (level < 1 || level > 4) rpc::fail(rpc::Code::invalid_arg, "log level {} is not one of 1 (debug) to 4 (error)", level);
    current_level = level;
    spdlog::default_logger()->set_level(to_spdlog(level));
}

int log_level() { return current_level; }
std::string log_outputs() { return current_outputs; }

} // namespace lodge::daemon
