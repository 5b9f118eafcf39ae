#include "xml/domain/nic_models.hpp"

namespace lodge::xml {

std::span<const std::string_view> known_nic_models() {
    static constexpr std::string_view models[] = {"netfront",
                                                  "rtl8139",
                                                  "virtio",
                                                  "e1000",
                                                  "e1000e",
                                                  "virtio-transitional",
                                                  "virtio-non-transitional",
                                                  "usb-net",
                                                  "spapr-vlan",
                                                  "lan9118",
                                                  "scm91c111",
                                                  "vlance",
                                                  "vmxnet",
                                                  "vmxnet2",
                                                  "vmxnet3",
                                                  "Am79C970A",
                                                  "Am79C973",
                                                  "82540EM",
                                                  "82545EM",
                                                  "82543GC"};
    return models;
}

} // namespace lodge::xml
