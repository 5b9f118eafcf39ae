// <nvram> inside <devices>: the memory of POWER firmware. (UEFI's variables are in <os>.)
#pragma once
#include "xml/domain/address.hpp"

namespace lodge::xml {

struct Nvram {
    DeviceInfo info;
};
void describe(Doc&, Nvram&);

} // namespace lodge::xml
