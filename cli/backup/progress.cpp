#include "cli/backup/progress.hpp"

#include <algorithm>
#include <cstdio>
#include <fmt/format.h>
#include <unistd.h>

namespace lodge::cli {

std::string size_words(unsigned long long bytes) {
    constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = static_cast<double>(bytes);
    size_t unit = 0;
    for (; value >= 1024 && unit + 1 < std::size(units); unit++) value /= 1024;
    return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, units[unit]);
}

std::string bar_text(const std::string& what, unsigned long long done, unsigned long long total) {
    constexpr size_t width = 30;
    double part = total ? std::min(1.0, static_cast<double>(done) / static_cast<double>(total)) : 0.0;
    auto filled = static_cast<size_t>(part * width);
    return fmt::format("{:<12} [{}{}] {:>3}%  {} of {}", what, std::string(filled, '#'), std::string(width - filled, '.'),
                       static_cast<int>(part * 100), size_words(done), size_words(total));
}

ProgressBar::ProgressBar(bool quiet)
    : watched_(!quiet && ::isatty(STDERR_FILENO)) {}

void ProgressBar::show(const std::string& what, unsigned long long done, unsigned long long total) {
    if (!watched_) return;
    auto now = std::chrono::steady_clock::now();
    if (drawn_ && done < total && now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    drawn_ = true;
    std::fprintf(stderr, "\r%s\033[K", bar_text(what, done, total).c_str());
}

void ProgressBar::clear() {
    if (drawn_) std::fputs("\r\033[K", stderr);
    drawn_ = false;
}

} // namespace lodge::cli
