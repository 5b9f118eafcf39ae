#include "drivers/qemu/stream_filter.hpp"
#include <csignal>
#include <fcntl.h>
#include <unistd.h>

namespace lodge::drivers::qemu {

using rpc::Code;
using rpc::Fd;

StreamFilter StreamFilter::make(Executor executor, Command command, Fd file, bool packing) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) rpc::fail_errno(errno, "Cannot create a pipe");
    Fd reader(ends[0]), writer(ends[1]);
    ::fcntl(writer.get(), F_SETPIPE_SZ, 1 << 20); // fewer turns between the two; no harm if it is refused
    command.fds.push_back({packing ? reader.get() : file.get(), 0});
    command.output = packing ? file.get() : writer.get();
    StreamFilter filter;
    filter.program_ = command.program;
    filter.process_ = Process::start(executor, command);
    filter.end_ = packing ? std::move(writer) : std::move(reader);
    return filter;
}

StreamFilter StreamFilter::packing(Executor executor, StreamFormat format, Fd file, const char* use) {
    if (format == StreamFormat::raw) {
        StreamFilter plain;
        plain.end_ = std::move(file);
        return plain;
    }
    Command command;
    command.program = find_program(word(format));
    if (command.program.empty())
        rpc::fail(Code::operation_failed, "Compression program for {} image format in configuration file isn't available", use);
    command.args = {"-c"};
    if (format == StreamFormat::xz) command.args.push_back("-3");
    return make(executor, std::move(command), std::move(file), true);
}

StreamFilter StreamFilter::unpacking(Executor executor, StreamFormat format, Fd file) {
    if (format == StreamFormat::raw) {
        StreamFilter plain;
        plain.end_ = std::move(file);
        return plain;
    }
    Command command;
    command.program = find_program(word(format));
    if (command.program.empty())
        rpc::fail(Code::operation_failed, "the image is packed by '{}', which is not installed here", word(format));
    command.args = {"-dc"};
    if (format == StreamFormat::lzop) command.args.push_back("--ignore-warn");
    return make(executor, std::move(command), std::move(file), false);
}

Task<> StreamFilter::finish() {
    const auto process = process_;
    if (!process) co_return;
    const std::string program = program_;
    co_await process->wait();
    if (!process->exit().success()) rpc::fail(Code::operation_failed, "{} failed: {}", program, process->exit().text());
}

void StreamFilter::kill() {
    end_.reset();
    if (process_) process_->signal(SIGKILL);
}

} // namespace lodge::drivers::qemu
