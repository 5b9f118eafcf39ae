// <vsock>
#pragma once
#include "xml/domain/address.hpp"

namespace lodge::xml {

struct VsockCid {
    std::optional<YesNo> automatic;
    std::optional<std::uint32_t> address;
};
struct Vsock {
    std::optional<VirtioModel> model;
    VsockCid cid;
    DeviceInfo info;
    VirtioOptions virtio;
};
void describe(Doc&, VsockCid&);
void describe(Doc&, Vsock&);

} // namespace lodge::xml
