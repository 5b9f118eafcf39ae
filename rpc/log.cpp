#include "rpc/log.hpp"
#include <spdlog/spdlog.h>

namespace lodge::log {

static spdlog::level::level_enum to_spdlog(Level level) {
    switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warn: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
    }
    return spdlog::level::err;
}

void write(Level level, fmt::string_view format, fmt::format_args arguments) {
    auto* logger = spdlog::default_logger_raw();
    if (!logger->should_log(to_spdlog(level))) return;
    fmt::memory_buffer line;
    fmt::vformat_to(fmt::appender(line), format, arguments);
    logger->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

} // namespace lodge::log
