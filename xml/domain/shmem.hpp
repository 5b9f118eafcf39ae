// <shmem>: memory shared between guests.
#pragma once
#include "xml/domain/address.hpp"
#include "xml/domain/scaled.hpp"

namespace lodge::xml {

enum class ShmemModel { ivshmem, ivshmem_plain, ivshmem_doorbell };
inline std::span<const std::string_view> enum_words(ShmemModel) {
    static constexpr std::string_view w[] = {"ivshmem", "ivshmem-plain", "ivshmem-doorbell"};
    return w;
}
enum class ShmemRole { default_, master, peer };
inline std::span<const std::string_view> enum_words(ShmemRole) {
    static constexpr std::string_view w[] = {"default", "master", "peer"};
    return w;
}

struct ShmemServer {
    std::string path;
};
struct ShmemMsi {
    std::optional<std::uint32_t> vectors;
    std::optional<OnOff> ioeventfd;
};
struct Shmem {
    std::string name;
    std::optional<ShmemRole> role;
    ShmemModel model = ShmemModel::ivshmem;
    std::optional<Mebibytes> size;
    std::optional<ShmemServer> server;
    std::optional<ShmemMsi> msi;
    DeviceInfo info;
};
void describe(Doc&, ShmemServer&);
void describe(Doc&, ShmemMsi&);
void describe(Doc&, Shmem&);

} // namespace lodge::xml
