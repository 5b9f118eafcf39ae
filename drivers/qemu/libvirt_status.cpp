#include "drivers/qemu/libvirt_status.hpp"
#include "drivers/process/spawn.hpp"
#include "drivers/qemu/dac_label.hpp"
#include "drivers/qemu/runtime.hpp"
#include "xml/domain/domain.hpp"
#include <filesystem>

namespace lodge::drivers::qemu {

namespace fs = std::filesystem;

namespace {

struct LibvirtStatus {
    std::int64_t pid = 0;
    std::string monitor;
    std::optional<unsigned> node_index; // the greatest number of a block node so far
    std::optional<xml::Cpu> asked_cpu;
};
void describe(xml::Doc& doc, LibvirtStatus& status) {
    doc.required("pid", status.pid);
    doc.group("monitor", [&] { doc.required("path", status.monitor); });
    doc.group("nodename", [&] { doc.attribute("index", status.node_index); });
    doc.child("cpu", status.asked_cpu);
}

// "+64055:+64055": the account that QEMU runs as.
std::optional<Identity> identity_of(const xml::Domain& domain) {
    for (const auto& label : domain.seclabels) {
        Identity identity;
        if (label.model == "dac" && std::sscanf(label.label.c_str(), "+%u:+%u", &identity.uid, &identity.gid) == 2)
            return identity;
    }
    return std::nullopt;
}

// libvirtd gives images to the guest's account, and to root when it ends.
std::vector<FormerOwner> owners_of(const xml::Domain& domain) {
    std::vector<FormerOwner> owners;
    const auto add = [&](const std::string& path) {
        if (!path.empty()) owners.push_back({path, 0, 0});
    };
    for (const auto& disk : domain.devices.disks) {
        add(disk.source.path);
        for (const auto* below : xml::links_below(disk)) add(below->source.path);
    }
    for (const auto* path : {&domain.os.kernel, &domain.os.initrd, &domain.os.dtb}) add(*path);
    add(domain.os.nvram_path());
    return owners;
}

GuestCgroup cgroup_of(const World& world, const AdoptRequest& request) {
    auto cgroup = GuestCgroup::plan(world.cgroups, request.id, request.domain->name,
                                    request.domain->resource ? request.domain->resource->partition : "");
    std::erase_if(cgroup.folders, [](const std::string& folder) { return !fs::exists(folder); });
    return cgroup;
}

} // namespace

bool is_libvirt_status(const std::string& text) { return text.find("<domstatus") != std::string::npos; }

nlohmann::json from_libvirt_status(const World& world, const AdoptRequest& request) {
    const auto kept = xml::parse<LibvirtStatus>(request.status, "domstatus", {.from = rpc::From::domain});
    const auto& domain = *request.domain;
    Runtime runtime;
    runtime.domain_dir = fs::path(kept.monitor).parent_path();
    runtime.log_file = fmt::format("{}/qemu/{}.log", world.paths.log, domain.name);
    runtime.pid_file = fmt::format("{}/qemu/{}.pid", world.paths.run, domain.name);
    runtime.cgroup = cgroup_of(world, request);
    runtime.identity = identity_of(domain);
    runtime.lends = world.settings.dynamic_ownership && lends_images(domain);
    runtime.owners = owners_of(domain);
    for (const auto& channel : domain.devices.channels)
        if (channel.source.type == xml::CharType::unix_ && channel.source.first().mode == xml::CharMode::bind)
            runtime.made.push_back(channel.source.first().path);
    for (const auto& graphics : domain.devices.graphics)
        if (graphics.autoport && *graphics.autoport && graphics.port.value_or(0) > 0)
            runtime.ports.push_back(static_cast<unsigned>(*graphics.port));
    const auto pid = static_cast<pid_t>(kept.pid);
    return {{"pid", pid},
            {"start_time", start_time_of(pid)},
            {"runtime", runtime},
            {"last_block_number", kept.node_index.value_or(0)},
            {"asked_cpu", kept.asked_cpu ? xml::format(*kept.asked_cpu, "cpu") : ""}};
}

} // namespace lodge::drivers::qemu
