// Identity, display and QMP.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

void add_monitor(Builder& builder) {
    const auto fd = builder.ctx.fds.find("monitor");
    const std::string place = fd != builder.ctx.fds.end()
                                  ? "fd=" + builder.pass(fd->second)
                                  : "path=" + escape(domain_dir(builder.domain, builder.ctx) + "/monitor.sock");
    builder.option("-chardev", fmt::format("socket,id=charmonitor,{},server=on,wait=off", place));
    builder.option("-mon", "chardev=charmonitor,id=monitor,mode=control");
}

} // namespace lodge::drivers::qemu
