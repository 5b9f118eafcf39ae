// Defaults of device kinds that need only a line or two.
#include "drivers/qemu/complete/steps.hpp"

namespace lodge::drivers::qemu {

namespace {

void complete_hostdev(xml::Hostdev& hostdev) {
    if (hostdev.mode == xml::HostdevMode::subsystem && !hostdev.managed) hostdev.managed = false;
    if (hostdev.type == xml::HostdevType::mdev && hostdev.model == xml::HostdevModel::vfio_pci && !hostdev.display)
        hostdev.display = false;
}

void complete_tpm(xml::Tpm& tpm) {
    constexpr std::uint64_t vio_place = 0x4000; // where libvirt puts every TPM on that bus
    if (tpm.info.is(xml::AddressType::spapr_vio) && !tpm.info.address->reg) tpm.info.address->reg = vio_place;
    if (!tpm.model) tpm.model = xml::TpmModel::tpm_tis;
    if (tpm.backend == xml::TpmBackendType::passthrough && tpm.device.empty()) tpm.device = "/dev/tpm0";
    if (tpm.backend == xml::TpmBackendType::emulator && !tpm.version)
        tpm.version = tpm.model == xml::TpmModel::tpm_tis ? xml::TpmVersion::v1_2 : xml::TpmVersion::v2_0;
}

void complete_shmem(xml::Shmem& shmem) {
    using enum xml::ShmemModel;
    if (shmem.model != ivshmem_doorbell && !(shmem.size && shmem.size->value)) shmem.size = xml::Mebibytes{4};
    if (shmem.model == ivshmem || !shmem.server) return;
    if (!shmem.msi) shmem.msi.emplace();
    if (!shmem.msi->ioeventfd) shmem.msi->ioeventfd = true;
}

// A clock that is off by so many seconds is a variable one; what its offset does not need is dropped.
void complete_clock(xml::Clock& clock) {
    using enum xml::ClockOffset;
    const bool off = !clock.adjustment.empty() && clock.adjustment != "reset";
    if ((clock.offset == utc || clock.offset == localtime) && off) {
        clock.basis = clock.offset == utc ? xml::ClockBasis::utc : xml::ClockBasis::localtime;
        clock.offset = variable;
    }
    if (clock.offset == variable) {
        if (clock.adjustment.empty()) clock.adjustment = "0";
        if (!clock.basis) clock.basis = xml::ClockBasis::utc;
    } else {
        clock.basis.reset();
    }
    if (clock.offset != timezone) clock.timezone.clear();
    if (clock.offset != absolute) clock.start.reset();
}

void complete_life_cycle(xml::Domain& domain) {
    using enum xml::LifecycleAction;
    if (!domain.on_poweroff) domain.on_poweroff = destroy;
    if (!domain.on_reboot) domain.on_reboot = restart;
    if (!domain.on_crash) domain.on_crash = destroy;
}

} // namespace

void complete_others(xml::Domain& domain) {
    auto& devices = domain.devices;
    complete_life_cycle(domain);
    if (!domain.clock) domain.clock.emplace();
    complete_clock(*domain.clock);
    if (!domain.vcpu) domain.vcpu.emplace();
    if (!domain.vcpu->placement) domain.vcpu->placement = xml::Placement::static_;
    if (domain.vcpu->current == domain.vcpu->maximum) domain.vcpu->current.reset();
    if (domain.genid && !domain.genid->value) domain.genid->value = rpc::Uuid::random();
    if (domain.os.boot_menu && !domain.os.boot_menu->enable) domain.os.boot_menu.reset();
    if (!devices.memballoon) devices.memballoon.emplace();
    if (devices.memballoon->model == xml::BalloonModel::none) devices.memballoon->info.address.reset();
    for (auto& lease : devices.leases)
        if (lease.offset == 0U) lease.offset.reset();
    if (devices.redirfilter && devices.redirfilter->rules.empty()) devices.redirfilter.reset();
    if (const auto& words = domain.qemu_commandline; words && words->args.empty() && words->envs.empty())
        domain.qemu_commandline.reset();
    for (auto& panic : devices.panics)
        if (!panic.model) panic.model = xml::PanicModel::isa;
    for (auto& hostdev : devices.hostdevs) complete_hostdev(hostdev);
    for (auto& fs : devices.filesystems)
        if (!fs.accessmode && fs.socket.empty()) fs.accessmode = xml::FilesystemAccess::passthrough;
    for (auto& tpm : devices.tpms) complete_tpm(tpm);
    for (auto& rng : devices.rngs)
        if (rng.backend == xml::RngBackend::random && rng.file.empty()) rng.file = "/dev/random";
    for (auto& shmem : devices.shmems) complete_shmem(shmem);
    if (devices.vsock && !devices.vsock->model) devices.vsock->model = xml::VirtioModel::virtio;
    if (devices.vsock && !devices.vsock->cid.automatic) devices.vsock->cid.automatic = !devices.vsock->cid.address;
}

void complete_security(xml::Domain& domain, const CompleteContext& ctx) {
    for (auto& label : domain.seclabels) {
        if (label.model.empty() && label.type == xml::SecLabelType::static_)
            rpc::fail(rpc::From::domain, rpc::Code::xml_error, "missing security model in domain seclabel");
        if (label.model.empty()) label.model = ctx.security_model;
        if (label.model != "none") continue;
        label = {}; // nothing is labelled on such a host
        label.type = xml::SecLabelType::none;
        label.model = "none";
    }
}

} // namespace lodge::drivers::qemu
