#include "daemon/compatible.hpp"
#include "xml/domain/domain.hpp"
#include <algorithm>
#include <regex>

namespace lodge::daemon {

namespace {

// What the guest sees of its machine; the rest (paths, backends, tuning, descriptions) is the host's affair.
constexpr const char* seen[] = {"/@type",
                                "/name",
                                "/uuid",
                                "/memory",
                                "/maxMemory",
                                "/vcpu",
                                "/iothreads",
                                "/os/type",
                                "/os/smbios",
                                "/features",
                                "/cpu",
                                "/clock/@offset",
                                "/devices/disk/@device",
                                "/devices/disk/@model",
                                "/devices/disk/target/@dev",
                                "/devices/disk/target/@bus",
                                "/devices/disk/serial",
                                "/devices/disk/wwn",
                                "/devices/disk/vendor",
                                "/devices/disk/product",
                                "/devices/disk/address",
                                "/devices/disk/readonly",
                                "/devices/controller",
                                "/devices/interface/mac",
                                "/devices/interface/model",
                                "/devices/interface/address",
                                "/devices/input",
                                "/devices/sound",
                                "/devices/video/model",
                                "/devices/video/address",
                                "/devices/hostdev/address",
                                "/devices/watchdog/@model",
                                "/devices/watchdog/address",
                                "/devices/memballoon/@model",
                                "/devices/memballoon/address",
                                "/devices/rng/@model",
                                "/devices/rng/address",
                                "/devices/filesystem/target",
                                "/devices/filesystem/address",
                                "/devices/smartcard/address",
                                "/devices/serial/target",
                                "/devices/serial/address",
                                "/devices/parallel/target",
                                "/devices/channel/target/@type",
                                "/devices/channel/target/@name",
                                "/devices/channel/address",
                                "/devices/panic",
                                "/devices/tpm/@model",
                                "/devices/tpm/address",
                                "/devices/shmem/@name",
                                "/devices/shmem/address",
                                "/devices/memory/target",
                                "/devices/memory/address",
                                "/devices/vsock/address",
                                "/devices/iommu/@model",
                                "/devices/hub"};
// Parts of those that may change all the same.
constexpr const char* unseen[] = {
    "/vcpu/@cpuset", "/vcpu/@placement",     "/devices/controller/driver",      "/devices/input/source",
    "/cpu/@check",   "/cpu/model/@fallback", "/devices/memory/target/requested"};

bool begins_with_one(const std::string& path, std::span<const char* const> list) {
    return std::ranges::any_of(list, [&](std::string_view begin) {
        return path.starts_with(begin) && (path.size() == begin.size() || path[begin.size()] == '/' ||
                                           path[begin.size()] == '[' || path[begin.size()] == ':');
    });
}

bool guest_sees(const std::string& difference) {
    static const std::regex number("\\[[0-9]+\\]");
    std::string path = std::regex_replace(difference.substr(0, difference.find(": ")), number, "");
    if (const auto root = path.find('/'); root != std::string::npos) path.erase(0, root);
    return begins_with_one(path, seen) && !begins_with_one(path, unseen);
}

bool is_settled(const std::optional<xml::Cpu>& cpu) { return cpu && cpu->check == xml::CpuCheck::full; }

// A start writes down what became of the guest's CPU. A document from before it asks for the same CPU when it leaves the model to
// the host, or names the same.
void settle_like(std::optional<xml::Cpu>& cpu, const xml::Cpu& settled) {
    if (!cpu || is_settled(cpu)) return;
    const bool same =
        cpu->mode == xml::CpuMode::host_model || (cpu->model && settled.model && cpu->model->name == settled.model->name);
    if (!same) return;
    cpu->mode = settled.mode;
    cpu->match = settled.match;
    cpu->model = settled.model;
    cpu->vendor = settled.vendor;
    cpu->features = settled.features;
}

} // namespace

void require_compatible(const xml::Domain& now, const xml::Domain& asked) {
    xml::Domain wanted = asked;
    if (is_settled(now.cpu)) settle_like(wanted.cpu, *now.cpu);
    for (const auto& difference : xml::compare(now, wanted, xml::domain_root))
        if (guest_sees(difference))
            rpc::fail(rpc::From::domain, rpc::Code::config_unsupported, "Target domain does not match source: {}", difference);
}

} // namespace lodge::daemon
