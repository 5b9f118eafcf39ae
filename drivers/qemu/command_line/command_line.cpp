// The order of QEMU's options. QEMU mostly does not mind; buses come before what stands on them, back ends before devices.
#include "drivers/process/command.hpp"
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

constexpr std::size_t name_characters = 20; // of a guest's name in paths, which sockets limit to 108 bytes

std::string first_characters(const std::string& text, std::size_t count) {
    std::size_t end = 0;
    for (std::size_t seen = 0; end < text.size(); ++end) {
        const bool begins = (static_cast<unsigned char>(text[end]) & 0xc0) != 0x80; // UTF-8
        if (begins && seen++ == count) break;
    }
    return text.substr(0, end);
}

void set_environment(Builder& builder) {
    const std::string home = domain_dir(builder.domain, builder.ctx);
    auto& env = builder.line.env = builder.ctx.environment;
    env.push_back("HOME=" + home);
    env.push_back("XDG_DATA_HOME=" + home + "/.local/share");
    env.push_back("XDG_CACHE_HOME=" + home + "/.cache");
    env.push_back("XDG_CONFIG_HOME=" + home + "/.config");
    const auto& clock = builder.domain.clock;
    if (clock && clock->offset == ClockOffset::timezone && !clock->timezone.empty())
        builder.line.env.push_back("TZ=" + clock->timezone);
}

void add_identity(Builder& builder) {
    const Domain& domain = builder.domain;
    builder.option("-name", fmt::format("guest={},debug-threads=on", escape(domain.name)));
    add_deprecation(builder);
    builder.option("-S");
    builder.object({{"qom-type", "secret"},
                    {"id", "masterKey0"},
                    {"format", "raw"},
                    {"file", domain_dir(domain, builder.ctx) + "/master-key.aes"}});
    bool managed = false;
    for (const auto& disk : domain.devices.disks)
        managed = managed || (disk.source.reservations && disk.source.reservations->managed);
    if (managed)
        builder.object({{"qom-type", "pr-manager-helper"},
                        {"id", "pr-helper0"},
                        {"path", domain_dir(domain, builder.ctx) + "/pr-helper0.sock"}});
}

void add_machine_part(Builder& builder) {
    const Domain& domain = builder.domain;
    add_firmware_nodes(builder);
    add_machine(builder);
    add_accel(builder);
    add_tseg(builder);
    add_cpu(builder);
    add_firmware(builder);
    add_memory(builder);
    builder.option("-overcommit", fmt::format("mem-lock={}", on_off(memory_backing(domain).locked)));
    add_smp(builder);
    add_iothreads(builder);
    add_numa(builder);
    builder.option("-uuid", domain.uuid.text());
    add_sysinfo(builder);
    if (domain.devices.graphics.empty()) builder.option("-display", "none");
    builder.option("-no-user-config");
    builder.option("-nodefaults");
    add_monitor(builder);
    add_clock(builder);
    add_power(builder);
    add_boot(builder);
}

void add_device_part(Builder& builder) {
    add_generation_id(builder);
    add_iommu(builder);
    add_controllers(builder);
    add_hubs(builder);
    add_ccid_controllers(builder);
    add_memory_devices(builder);
    add_disks(builder);
    add_filesystems(builder);
    add_nics(builder);
    add_smartcards(builder);
    add_serials(builder);
    add_parallels(builder);
    add_channels(builder);
    add_consoles(builder);
    add_tpms(builder);
    add_inputs(builder);
    add_audio(builder);
    add_graphics(builder);
    add_videos(builder);
    add_sounds(builder);
    add_watchdogs(builder);
    add_redirdevs(builder);
    add_hostdevs(builder);
    add_memballoon(builder);
    add_rngs(builder);
    add_cryptos(builder);
    add_vmcoreinfo(builder);
    add_panics(builder);
    add_shmems(builder);
    add_vsock(builder);
}

} // namespace

std::string short_name(const Domain& domain, int id) {
    return fmt::format("{}-{}", id, first_characters(domain.name, name_characters));
}

std::string domain_dir(const Domain& domain, const BuildContext& ctx) {
    return fmt::format("{}/qemu/domain-{}", ctx.lib, short_name(domain, ctx.id));
}

CommandLine build(const Domain& domain, const BuildContext& ctx) {
    Builder builder(domain, ctx);
    builder.line.program = domain.devices.emulator;
    set_environment(builder);
    add_identity(builder);
    add_machine_part(builder);
    add_device_part(builder);
    if (ctx.incoming) builder.option("-incoming", "defer");
    if (!ctx.load_snapshot.empty()) builder.option("-loadvm", ctx.load_snapshot);
    add_passthrough(builder);
    add_sandbox(builder);
    builder.option("-msg", "timestamp=on");
    return std::move(builder.line);
}

std::string CommandLine::shell_line() const {
    std::string text;
    for (const auto& setting : env) {
        const auto equals = setting.find('=');
        text += setting.substr(0, equals + 1) + shell_quoted(setting.substr(equals + 1)) + ' ';
    }
    text += shell_quoted(program);
    for (const auto& arg : args) text += ' ' + shell_quoted(arg);
    return text;
}

} // namespace lodge::drivers::qemu
