#include "drivers/qemu/driver.hpp"
#include "drivers/host/node.hpp"
#include "drivers/qemu/capabilities.hpp"
#include "drivers/qemu/complete/complete.hpp"
#include "drivers/qemu/failure.hpp"
#include "drivers/qemu/firmware.hpp"
#include "drivers/qemu/helpers/commands.hpp"
#include "drivers/qemu/host_capabilities.hpp"
#include "drivers/qemu/host_devices.hpp"
#include "drivers/qemu/host_side.hpp"
#include "drivers/qemu/image.hpp"
#include "drivers/qemu/launch.hpp"
#include "drivers/qemu/migratable.hpp"
#include "drivers/qemu/runtime.hpp"
#include "drivers/qemu/state_files.hpp"
#include "rpc/log.hpp"
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <filesystem>
#include <strings.h>
#include <sys/stat.h>

namespace lodge::drivers::qemu {

namespace {

class QemuDriver final : public Driver {
  public:
    QemuDriver(Executor executor, Paths paths, Settings settings, const SecretValues& secrets)
        : world_(std::make_shared<World>()) {
        world_->executor = executor;
        world_->paths = std::move(paths);
        world_->settings = std::move(settings);
        world_->secrets = &secrets;
        take_back_unfinished_starts(world_->paths.run + "/qemu");
        world_->cgroups = detect_cgroups();
        world_->displays = std::make_shared<Displays>(world_->settings);
        world_->logs = std::make_shared<LogLimit>(executor, world_->settings.log_max_size, world_->settings.log_max_backups);
        try {
            world_->identity = identity_of(world_->settings);
        } catch (const rpc::Error& error) {
            // Said at start-up, and again to whoever starts a guest.
            log::warn("{}", error.what());
            identity_error_ = error.detail();
        }
        try {
            world_->swtpm_identity = swtpm_identity_of(world_->settings);
        } catch (const rpc::Error& error) {
            log::debug("{}", error.what()); // no swtpm is installed; a guest that wants one is told so
        }
        state_files_ = std::make_unique<QemuStateFiles>(world_->paths.run + "/qemu/images.lock");
        world_->emulators =
            std::make_shared<EmulatorCache>(executor, world_->paths.cache + "/qemu/capabilities", world_->identity);
    }

    std::string type() const override { return "QEMU"; }
    std::string scheme() const override { return "qemu"; }
    std::vector<std::string> domain_types() const override { return {"qemu", "kvm"}; }
    rpc::From error_domain() const override { return rpc::From::qemu; }

    Task<std::uint64_t> version() override;
    Task<std::string> capabilities() override;
    Task<std::string> domain_capabilities(std::string emulator, std::string arch, std::string machine,
                                          std::string virt_type) override;
    Task<std::shared_ptr<const HypervisorCpu>> hypervisor_cpu(std::string emulator, std::string arch, std::string machine,
                                                              std::string virt_type) override;
    Task<> settle_cpu(xml::Domain& domain) override;
    Task<unsigned> max_vcpus(std::string virt_type) override;
    Task<> complete(xml::Domain& domain, Completion completion) override;
    Task<> check_device(xml::Domain domain, xml::DeviceAt device) override;
    void make_migratable(xml::Domain& domain) const override { qemu::make_migratable(domain, world_->paths.lib); }
    Task<std::string> native_command_line(xml::Domain& domain) override;
    Task<std::vector<std::string>> messages(std::string domain) override;
    Task<BlockInfo> image_info(const xml::Disk& disk) override;
    Task<std::vector<std::optional<BlockInfo>>> image_infos(std::vector<ImagePlace> images) override;
    StateFiles& state_files() override { return *state_files_; }
    AutostartRules autostart_rules() const override {
        const auto& settings = world_->settings;
        return {settings.auto_start_bypass_cache, std::chrono::milliseconds(settings.auto_start_delay)};
    }
    Task<> forget(std::shared_ptr<const xml::Domain> domain, std::optional<bool> keep_tpm) override;
    Task<std::shared_ptr<Machine>> launch(LaunchRequest request) override;
    Task<std::shared_ptr<Machine>> adopt(AdoptRequest request) override { return adopt_machine(world_, std::move(request)); }

  private:
    Task<std::shared_ptr<const CompleteContext>> context_for(std::string emulator);
    Task<std::shared_ptr<const EmulatorInfo>> meant_emulator(std::string emulator, std::string arch, std::string virt_type);

    std::shared_ptr<World> world_;
    std::unique_ptr<QemuStateFiles> state_files_;
    std::string identity_error_;
    // Made from what is known of an emulator, as long as that stays the same.
    struct Context {
        std::shared_ptr<const EmulatorInfo> from;
        std::shared_ptr<const CompleteContext> context;
    };
    std::map<std::string, Context> contexts_;
};

// Runs two tasks side by side; an absent second emulator is no error.
Task<std::shared_ptr<const EmulatorInfo>> if_there(std::shared_ptr<EmulatorCache> cache, std::string program) {
    if (find_program(program).empty()) co_return nullptr;
    co_return co_await cache->get(program);
}

Task<std::uint64_t> QemuDriver::version() {
    const auto world = world_;
    co_return (co_await world->emulators->get(default_emulator(host_architecture())))->version;
}

Task<std::string> QemuDriver::capabilities() {
    using namespace boost::asio::experimental::awaitable_operators;
    const auto world = world_;
    auto [x86, i386] =
        co_await (if_there(world->emulators, default_emulator("x86_64")) && if_there(world->emulators, default_emulator("i686")));
    std::vector<std::shared_ptr<const EmulatorInfo>> emulators;
    if (i386) emulators.push_back(i386);
    if (x86) emulators.push_back(x86);
    std::string document;
    const bool kvm = kvm_usable(world->identity);
    co_await rpc::blocking([&] { document = xml::format_capabilities(capabilities_of(emulators, kvm, world->identity)); });
    co_return document;
}

// The emulator that a client means, as it is with the hypervisor that it means; each may be left open.
Task<std::shared_ptr<const EmulatorInfo>> QemuDriver::meant_emulator(std::string emulator, std::string arch,
                                                                     std::string virt_type) {
    const auto world = world_;
    const bool kvm_here = kvm_usable(world->identity);
    check_virt_word(virt_type);
    if (arch.empty() && emulator.empty()) arch = host_architecture();
    if (!arch.empty()) check_architecture(arch);
    if (emulator.empty()) emulator = default_emulator(arch);
    const bool kvm = virt_type.empty() ? kvm_here : virt_type == "kvm";
    const auto info = co_await world->emulators->get(emulator, kvm ? Accelerator::best : Accelerator::tcg);
    check_virt_type(virt_type, kvm_here);
    const std::string its_arch = architecture_name(info->arch);
    if (!arch.empty() && arch != its_arch && !(arch == "i686" && its_arch == "x86_64"))
        rpc::fail(Code::invalid_arg, "architecture from emulator '{}' doesn't match given architecture '{}'", its_arch, arch);
    co_return info;
}

Task<std::string> QemuDriver::domain_capabilities(std::string emulator, std::string arch, std::string machine,
                                                  std::string virt_type) {
    const auto world = world_;
    const auto info = co_await meant_emulator(emulator, arch, virt_type);
    const auto cpu = world->cpus->of(info);
    std::string document;
    co_await rpc::blocking([&] { document = xml::format_domain_capabilities(domain_capabilities_of(*info, *cpu, machine)); });
    co_return document;
}

Task<std::shared_ptr<const HypervisorCpu>> QemuDriver::hypervisor_cpu(std::string emulator, std::string arch, std::string machine,
                                                                      std::string virt_type) {
    const auto world = world_;
    const auto info = co_await meant_emulator(emulator, arch, virt_type);
    require_machine(*info, machine);
    co_return world->cpus->of(info);
}

Task<> QemuDriver::settle_cpu(xml::Domain& domain) {
    const auto world = world_;
    if (!domain.cpu || (domain.cpu->mode == xml::CpuMode::custom && !domain.cpu->model)) co_return;
    const auto cpu = world->cpus->of(co_await world->emulators->get(domain.devices.emulator, accelerator_of(domain)));
    drivers::settle_cpu(cpu_map(), *domain.cpu, cpu->migratable ? &*cpu->migratable : nullptr);
}

Task<unsigned> QemuDriver::max_vcpus(std::string virt_type) {
    const auto is = [&](const char* word) { return ::strcasecmp(virt_type.c_str(), word) == 0; };
    // libvirt's answer since its first days, whatever machines can have by now; domain capabilities tell what they can.
    if (virt_type.empty() || is("qemu")) co_return 16;
    if (!is("kvm")) rpc::fail(Code::invalid_arg, "unknown type '{}'", virt_type);
    co_return co_await rpc::blocking_result(kvm_max_vcpus);
}

Task<std::shared_ptr<const CompleteContext>> QemuDriver::context_for(std::string emulator) {
    const auto world = world_;
    const auto info = co_await world->emulators->get(emulator);
    auto& slot = contexts_[emulator];
    if (slot.from == info) co_return slot.context;
    auto context = std::make_shared<CompleteContext>();
    context->host_arch = host_architecture();
    EmulatorProfile profile;
    profile.path = emulator;
    profile.arch = architecture_name(info->arch);
    for (const auto& machine : info->machines) {
        std::string cpu = machine.default_cpu;
        if (const auto at = cpu.rfind(fmt::format("-{}-cpu", info->arch)); at != std::string::npos) cpu.resize(at);
        profile.machines.push_back({machine.name, machine.alias, cpu, machine.max_cpus, machine.is_default});
    }
    profile.devices.assign(info->types.begin(), info->types.end());
    profile.kvm = kvm_usable(world->identity);
    profile.migratable_cpu = info->cpu_migratable;
    context->emulators.push_back(std::move(profile));
    context->nvram_dir = world->paths.lib + "/qemu/nvram";
    context->vnc_listen = world->settings.vnc_listen;
    context->spice_listen = world->settings.spice_listen;
    context->tpm_versions.assign({});
    if (has_swtpm()) context->tpm_versions = {"1.2", "2.0"};
    context->firmwares = {"bios"};
    co_await rpc::blocking([&] {
        for (const auto& firmware : find_firmware())
            if (firmware.is_efi()) {
                context->firmwares.push_back("efi");
                break;
            }
    });
    contexts_[emulator] = {info, context};
    co_return context;
}

// What runs the domain, and refuses one that this host has no emulator for.
static std::string emulator_of(const xml::Domain& domain) {
    if (!domain.devices.emulator.empty()) return domain.devices.emulator;
    const auto& arch = domain.os.type.arch;
    auto emulator = default_emulator(arch.empty() ? host_architecture() : arch);
    if (find_program(emulator).empty() && !arch.empty())
        rpc::fail(rpc::From::qemu, Code::config_unsupported, "No emulator found for arch '{}'", arch);
    return emulator;
}

Task<> QemuDriver::check_device(xml::Domain domain, xml::DeviceAt device) {
    const auto context = co_await context_for(emulator_of(domain));
    qemu::check_device(domain, device, *context);
}

Task<> QemuDriver::complete(xml::Domain& domain, Completion completion) {
    const auto context = co_await context_for(emulator_of(domain));
    if (completion == Completion::checked)
        qemu::complete(domain, *context);
    else
        complete_unchecked(domain, *context);
}

// Placement by numad's advice is settled at a start only.
static void require_placement(const xml::Domain& domain) {
    const auto* memory = domain.numatune && domain.numatune->memory ? &*domain.numatune->memory : nullptr;
    if ((domain.vcpu && domain.vcpu->placement == xml::Placement::auto_) ||
        (memory && memory->placement == xml::Placement::auto_))
        rpc::fail(rpc::From::domain, Code::internal_error, "Advice from numad is needed in case of automatic numa placement");
}

Task<std::string> QemuDriver::native_command_line(xml::Domain& domain) {
    const auto world = world_;
    require_placement(domain);
    // As libvirt, which shows each NIC as a plain tap and finds it a place anew.
    for (auto& nic : domain.devices.interfaces) {
        auto boot = nic.info.boot;
        nic.info = {};
        nic.info.boot = std::move(boot);
    }
    co_await complete(domain, Completion::unchecked);
    const auto info = co_await world->emulators->get(domain.devices.emulator, accelerator_of(domain));
    settle_guest_cpu(domain, *world->cpus->of(info));
    assign_aliases(domain);
    BuildContext context = build_context(*world, *info, -1);
    context.display = true;
    suit_to_domain(context, *info, domain);
    co_await rpc::blocking([&] {
        require_vhost_scsi(domain);
        settle_firmware(domain, firmware_wish(*world, false));
        context.scsi_generics = scsi_generics(domain);
    });
    co_return build(domain, context).shell_line();
}

Task<std::vector<std::string>> QemuDriver::messages(std::string domain) {
    const std::string path = failure_path(world_->paths.lib, domain);
    std::vector<std::string> lines;
    co_await rpc::blocking([&] { lines = failure_messages(path); });
    co_return lines;
}

Task<> QemuDriver::forget(std::shared_ptr<const xml::Domain> domain, std::optional<bool> keep_tpm) {
    co_await rpc::blocking([&] {
        forget_failure(failure_path(world_->paths.lib, domain->name));
        for (const auto& tpm : domain->devices.tpms) {
            const bool keep = keep_tpm.value_or(tpm.persistent_state && *tpm.persistent_state);
            if (tpm.backend != xml::TpmBackendType::emulator || keep) continue;
            const auto place = swtpm_place(*domain, tpm, world_->paths.lib, world_->paths.log);
            std::error_code error;
            std::filesystem::remove_all(std::filesystem::path(place.state).parent_path(), error);
            if (error) log::warn("{}: cannot remove the state of its TPM: {}", domain->name, error.message());
        }
    });
}

Task<BlockInfo> QemuDriver::image_info(const xml::Disk& disk) {
    const ImagePlace image{disk.source.path, disk.driver.type == xml::StorageFormat::qcow2};
    co_return co_await rpc::blocking_result([&image] { return read_image_info(image); });
}

Task<std::vector<std::optional<BlockInfo>>> QemuDriver::image_infos(std::vector<ImagePlace> images) {
    std::vector<std::optional<BlockInfo>> infos;
    infos.reserve(images.size());
    co_await rpc::blocking([&] {
        for (const auto& image : images) infos.push_back(look_at_image(image));
    });
    co_return infos;
}

Task<std::shared_ptr<Machine>> QemuDriver::launch(LaunchRequest request) {
    if (!identity_error_.empty()) rpc::fail(Code::system_error, "{}", identity_error_);
    return launch_machine(world_, std::move(request));
}

} // namespace

std::unique_ptr<Driver> make_driver(Executor executor, Paths paths, const std::string& settings_file,
                                    const SecretValues& secrets) {
    return std::make_unique<QemuDriver>(std::move(executor), std::move(paths), read_settings(settings_file), secrets);
}

} // namespace lodge::drivers::qemu
