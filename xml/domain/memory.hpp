// <memory> inside <devices>: DIMMs and their kin.
#pragma once
#include "xml/domain/address.hpp"
#include "xml/domain/scaled.hpp"

namespace lodge::xml {

enum class MemoryModel { none, dimm, nvdimm, virtio_pmem, virtio_mem, sgx_epc };
inline std::span<const std::string_view> enum_words(MemoryModel) {
    static constexpr std::string_view w[] = {"none", "dimm", "nvdimm", "virtio-pmem", "virtio-mem", "sgx-epc"};
    return w;
}
enum class MemoryAccess { default_, shared, private_ };
inline std::span<const std::string_view> enum_words(MemoryAccess) {
    static constexpr std::string_view w[] = {"default", "shared", "private"};
    return w;
}

struct MemoryTarget {
    Kibibytes size;
    std::optional<std::uint32_t> node;
    std::optional<Kibibytes> block, requested, current; // virtio-mem; current is live
    std::optional<Kibibytes> label;                     // nvdimm
    bool readonly = false;
};
struct MemoryDevice {
    MemoryModel model = MemoryModel::dimm;
    std::optional<MemoryAccess> access;
    std::optional<YesNo> discard;
    rpc::Uuid uuid;
    std::string nodemask;
    std::optional<Kibibytes> pagesize;
    std::string path;
    std::optional<Kibibytes> alignsize;
    bool pmem = false;
    MemoryTarget target;
    DeviceInfo info;
};
void describe(Doc&, MemoryTarget&);
void describe(Doc&, MemoryDevice&);

} // namespace lodge::xml
