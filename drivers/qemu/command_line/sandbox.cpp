#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

void add_sandbox(Builder& builder) {
    builder.option("-sandbox",
                   builder.ctx.sandbox ? "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny" : "off");
}

} // namespace lodge::drivers::qemu
