// The daemon's log, from every folder. Formatting happens behind this header: spdlog's own templates would be compiled again in
// each file that logs. Where the lines go is decided by daemon/logging.hpp.
#pragma once
#include <fmt/core.h>

namespace lodge::log {

enum class Level { debug, info, warn, error };

// Any thread. What the level leaves out costs a call, but is not formatted.
void write(Level level, fmt::string_view format, fmt::format_args arguments);

// A line about an object starts with its name: "web: started".
template<class... T> void debug(fmt::format_string<T...> format, T&&... arguments) {
    write(Level::debug, format, fmt::make_format_args(arguments...));
}
template<class... T> void info(fmt::format_string<T...> format, T&&... arguments) {
    write(Level::info, format, fmt::make_format_args(arguments...));
}
template<class... T> void warn(fmt::format_string<T...> format, T&&... arguments) {
    write(Level::warn, format, fmt::make_format_args(arguments...));
}
template<class... T> void error(fmt::format_string<T...> format, T&&... arguments) {
    write(Level::error, format, fmt::make_format_args(arguments...));
}

} // namespace lodge::log
