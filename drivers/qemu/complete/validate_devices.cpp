// Devices that need only a rule or two.
#include "drivers/qemu/complete/machine_kind.hpp"
#include "drivers/qemu/complete/validate.hpp"
#include <algorithm>

namespace lodge::drivers::qemu {

using rpc::Code;
using rpc::From;
using xml::VirtioModel;

void validate_device(const xml::Tpm& tpm, const Guest& guest) {
    const auto& ctx = guest.ctx;
    const auto& emulator = guest.domain.devices.emulator;
    using enum xml::TpmModel;
    const auto model = tpm.model.value_or(tpm_tis);
    if (tpm.backend == xml::TpmBackendType::emulator) {
        const auto version = std::string(xml::word(tpm.version.value_or(xml::TpmVersion::v2_0)));
        if (std::ranges::find(ctx.tpm_versions, version) == ctx.tpm_versions.end())
            unsupported(From::qemu, "TPM version '{}' is not supported", version);
        if (version == "1.2" && model == tpm_crb)
            unsupported(From::qemu, "Unsupported interface '{}' for TPM 1.2", xml::word(model));
        apply({{version == "1.2" && model == tpm_spapr, "TPM 1.2 is not supported with the SPAPR device model"}});
    }
    // libvirt offers external emulators only where its own runs too.
    if (tpm.backend == xml::TpmBackendType::external && ctx.tpm_versions.empty())
        unsupported(From::qemu, "The QEMU executable {} does not support TPM backend type external", emulator);
    if (model == tpm_spapr || model == spapr_tpm_proxy)
        unsupported(From::qemu, "The QEMU executable {} does not support TPM model {}", emulator, xml::word(model));
}

void validate_device(const xml::Filesystem& fs, const Guest& guest) {
    using enum xml::FilesystemDriver;
    const bool modes = fs.fmode.bits || fs.dmode.bits;
    const bool passes = fs.accessmode == xml::FilesystemAccess::passthrough;
    const auto sandbox = fs.binary.sandbox.value_or(xml::VirtiofsSandbox::default_);
    apply({{fs.type != xml::FilesystemType::mount, "only supports mount filesystem type"},
           {modes && fs.accessmode != xml::FilesystemAccess::mapped, "fmode and dmode must be used with accessmode=mapped"},
           {fs.driver != virtiofs && sandbox != xml::VirtiofsSandbox::default_, "sandbox can only be used with driver=virtiofs"},
           {fs.driver == handle && !passes, "only supports passthrough accessmode"},
           {fs.driver == loop || fs.driver == nbd || fs.driver == ploop, "Filesystem driver type not supported"}});
    if (fs.driver != virtiofs) return;
    if (fs.socket.empty())
        apply({{fs.readonly, "virtiofs does not yet support read-only mode"},
               {!passes, "virtiofs only supports passthrough accessmode"},
               {fs.wrpolicy.has_value(), "virtiofs does not support wrpolicy"}});
    apply({{fs.model.has_value(), "virtiofs does not support model"},
           {!fs.format.empty(), "virtiofs does not support format"},
           {fs.multidevs.value_or(xml::MultiDevs::default_) != xml::MultiDevs::default_, "virtiofs does not support multidevs"},
           {modes, "virtiofs does not support fmode and dmode"},
           {!has_shared_memory(guest.domain), "'virtiofs' requires shared memory"}});
}

void validate_device(const xml::Iommu& iommu, const Guest& guest) {
    const auto& domain = guest.domain;
    const auto model = xml::word(iommu.model);
    const bool q35 = is_q35(domain.os.type.machine);
    if (iommu.model == xml::IommuModel::intel && !q35)
        unsupported(From::qemu, "IOMMU device: '{}' is only supported with Q35 machines", model);
    if (iommu.model == xml::IommuModel::smmuv3)
        unsupported(From::qemu, "IOMMU device: '{}' is only supported with ARM Virt machines", model);
    if (iommu.model != xml::IommuModel::virtio) return;
    if (!q35) unsupported(From::qemu, "IOMMU device: '{}' is only supported with Q35 and ARM Virt machines", model);
    if (!domain.features || !domain.features->acpi) unsupported(From::qemu, "IOMMU device: '{}' requires ACPI", model);
    if (iommu.info.address && !iommu.info.is_pci()) unsupported(From::qemu, "IOMMU device: '{}' needs a PCI address", model);
}

void validate_device(const xml::Input& input, const Guest&) {
    if (input.bus != xml::InputBus::virtio) return;
    if (input.model.value_or(VirtioModel::virtio) != VirtioModel::virtio)
        unsupported(From::qemu, "virtio (non-)transitional models are not supported for input type={}", xml::word(input.type));
}

void validate_device(const xml::Watchdog& watchdog, const Guest&) {
    using enum xml::WatchdogModel;
    const auto model = xml::word(watchdog.model);
    const bool placed = watchdog.info.address.has_value();
    if (watchdog.model == i6300esb && placed && !watchdog.info.is_pci())
        unsupported(From::qemu, "{} model of watchdog can go only on PCI bus", model);
    if (watchdog.model == ib700 && placed)
        unsupported(From::qemu, "{} model of watchdog does not support configuring the address", model);
    if (watchdog.model != diag288) return;
    if (placed) unsupported(From::qemu, "{} model of watchdog is virtual and cannot go on any bus.", model);
    unsupported(From::qemu, "{} model of watchdog is allowed for s390 and s390x only", model);
}

void validate_device(const xml::Sound& sound, const Guest&) {
    if (sound.model == xml::SoundModel::ich7)
        rpc::fail(From::qemu, Code::internal_error, "sound card model '{}' is not supported by qemu", xml::word(sound.model));
}

void validate_device(const xml::MemoryDevice& memory, const Guest&) {
    apply({{memory.model == xml::MemoryModel::sgx_epc, "sgx epc isn't supported by this QEMU binary"}});
}

void validate_device(const xml::Memballoon& balloon, const Guest&) {
    if (balloon.model == xml::BalloonModel::xen)
        unsupported(From::qemu, "Memory balloon device type '{}' is not supported by this version of qemu",
                    xml::word(balloon.model));
}

void validate_device(const xml::Nvram&, const Guest&) { apply({{true, "nvram device is only supported for PPC64"}}); }

void validate_device(const xml::Shmem& shmem, const Guest&) {
    apply({{shmem.model == xml::ShmemModel::ivshmem, "ivshmem device is not supported with this QEMU binary"}});
}

} // namespace lodge::drivers::qemu
