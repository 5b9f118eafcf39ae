// Bytes between a guest's character device and one client at a time.
#pragma once
#include "rpc/task.hpp"
#include <memory>

namespace lodge::drivers::qemu {

// Copies both ways between two descriptors until either ends or close() is called; then both are closed. Reads only what the
// other side has taken, so neither side can make us buffer without bound.
class Relay : public std::enable_shared_from_this<Relay> {
  public:
    Relay(rpc::Executor executor, rpc::Fd device, rpc::Fd client);
    ~Relay();
    void start();
    void close();
    bool is_open() const;

  private:
    struct Side;
    void read(int from);
    void write(int to);
    std::unique_ptr<Side> sides_[2];
};

} // namespace lodge::drivers::qemu
