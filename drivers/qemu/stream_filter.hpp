// A program that packs or unpacks QEMU's stream on its way to or from a file.
#pragma once
#include "drivers/process/process.hpp"
#include "drivers/qemu/save_image.hpp"

namespace lodge::drivers::qemu {

class StreamFilter {
  public:
    // What is written to end() comes packed into `file`. Raw: end() is the file itself. Throws Code::operation_failed when the
    // program is not there.
    static StreamFilter packing(Executor executor, StreamFormat format, rpc::Fd file, const char* use);
    // What is read from end() comes unpacked out of `file`, from its present offset on.
    static StreamFilter unpacking(Executor executor, StreamFormat format, rpc::Fd file);

    rpc::Fd take_end() { return std::move(end_); }
    // Waits until all has gone through; throws Code::operation_failed when the program failed. Whoever holds the other end must
    // have closed it.
    Task<> finish();
    // Ends it now; what it made is worth nothing.
    void kill();

  private:
    static StreamFilter make(Executor executor, Command command, rpc::Fd file, bool packing);
    rpc::Fd end_;
    std::string program_;
    std::shared_ptr<Process> process_; // null: raw
};

} // namespace lodge::drivers::qemu
