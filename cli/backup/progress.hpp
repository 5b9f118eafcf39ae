// A bar on the terminal for work that takes a while; silent when nobody watches.
#pragma once
#include <chrono>
#include <string>

namespace lodge::cli {

class ProgressBar {
  public:
    explicit ProgressBar(bool quiet);
    ~ProgressBar() { clear(); }
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;

    void show(const std::string& what, unsigned long long done, unsigned long long total);
    void clear();

  private:
    bool watched_;
    bool drawn_ = false;
    std::chrono::steady_clock::time_point last_{};
};

// "1.5 GiB"
std::string size_words(unsigned long long bytes);
std::string bar_text(const std::string& what, unsigned long long done, unsigned long long total);

} // namespace lodge::cli
