// -machine and -accel.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

void add_word(std::string& words, std::string_view name, std::string_view value) { words += fmt::format(",{}={}", name, value); }

void add_features(Builder& builder, std::string& words) {
    const Features& features = features_of(builder.domain);
    if (features.vmport) add_word(words, "vmport", on_off(is_on(features.vmport)));
    if (features.smm)
        add_word(words, "smm", on_off(!features.smm->state || *features.smm->state));
    else if (firmware_needs_smm(builder))
        add_word(words, "smm", "on");
    if (features.ioapic && features.ioapic->driver)
        add_word(words, "kernel_irqchip", *features.ioapic->driver == IoapicDriver::qemu ? "split" : "on");
}

bool has_speaker(const Domain& domain) {
    for (const auto& sound : domain.devices.sounds)
        if (sound.model == SoundModel::pcspk) return true;
    return false;
}

bool has_nvdimm(const Domain& domain) {
    for (const auto& memory : domain.devices.memories)
        if (memory.model == MemoryModel::nvdimm) return true;
    return false;
}

} // namespace

const Features& features_of(const Domain& domain) {
    static const Features none;
    return domain.features ? *domain.features : none;
}

bool is_on(const std::optional<Switch>& feature) { return feature && (!feature->state || *feature->state); }

void add_tseg(Builder& builder) {
    const auto& smm = features_of(builder.domain).smm;
    if (!smm || !smm->tseg || !smm->tseg->bytes) return;
    builder.option("-global", fmt::format("mch.extended-tseg-mbytes={}", smm->tseg->bytes >> 20));
}

void add_vmcoreinfo(Builder& builder) {
    if (is_on(features_of(builder.domain).vmcoreinfo)) builder.device({{"driver", "vmcoreinfo"}});
}

void add_machine(Builder& builder) {
    const Domain& domain = builder.domain;
    std::string words = domain.os.type.machine;
    add_word(words, "usb", "off");
    add_features(builder, words);
    add_word(words, "dump-guest-core", on_off(builder.ctx.dump_guest_core));
    if (memory_backing(domain).no_share_pages) add_word(words, "mem-merge", "off");
    if (has_nvdimm(domain)) add_word(words, "nvdimm", "on");
    if (const auto system = system_memory(domain, builder.ctx)) add_word(words, "memory-backend", system->id);
    if (has_hmat(domain)) add_word(words, "hmat", "on");
    add_pflash(builder, words);
    // The BIOS speaks on the serial port instead.
    if (domain.os.bios && domain.os.bios->use_serial && *domain.os.bios->use_serial) add_word(words, "graphics", "off");
    if (!builder.ctx.display && has_speaker(domain) && !domain.devices.audios.empty())
        add_word(words, "pcspk-audiodev", fmt::format("audio{}", domain.devices.audios.front().id));
    builder.option("-machine", words);
}

void add_accel(Builder& builder) {
    const Domain& domain = builder.domain;
    if (domain.type != VirtType::kvm && domain.type != VirtType::qemu)
        rpc::fail(Code::internal_error, "the QEMU binary does not support {}", word(domain.type));
    std::string words = domain.type == VirtType::kvm ? "kvm" : "tcg";
    const auto& kvm = features_of(domain).kvm;
    if (domain.type == VirtType::kvm && kvm && kvm->dirty_ring && kvm->dirty_ring->state.value_or(true))
        add_word(words, "dirty-ring-size", std::to_string(kvm->dirty_ring->size.value_or(0)));
    const auto& tcg = features_of(domain).tcg;
    if (domain.type == VirtType::qemu && tcg && tcg->tb_cache)
        add_word(words, "tb-size", std::to_string(tcg->tb_cache->value >> 10));
    builder.option("-accel", words);
}

} // namespace lodge::drivers::qemu
