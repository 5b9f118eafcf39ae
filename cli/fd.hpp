// A file descriptor that is closed when its owner goes.
#pragma once
#include <unistd.h>
#include <utility>

namespace lodge::cli {

class Fd {
  public:
    explicit Fd(int fd = -1)
        : fd_(fd) {}
    ~Fd() {
        if (fd_ >= 0) ::close(fd_);
    }
    Fd(Fd&& other) noexcept
        : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    // False when the last bytes could not be kept.
    bool close() { return ::close(std::exchange(fd_, -1)) == 0; }

  private:
    int fd_;
};

} // namespace lodge::cli
