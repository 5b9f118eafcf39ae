#include "drivers/qemu/firmware.hpp"
#include "drivers/host/sysfs.hpp"
#include "rpc/task.hpp"
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fnmatch.h>
#include <map>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace lodge::drivers::qemu {

using nlohmann::json;

static std::optional<Firmware> read_descriptor(const std::string& path) {
    const json text = json::parse(read_small_file(path), nullptr, false);
    if (!text.is_object()) return std::nullopt;
    try {
        Firmware firmware;
        text.at("interface-types").get_to(firmware.interfaces);
        text.at("features").get_to(firmware.features);
        const json& mapping = text.at("mapping");
        const std::string device = mapping.at("device");
        if (device != "flash" && device != "memory") return std::nullopt;
        firmware.flash = device == "flash";
        if (firmware.flash) {
            firmware.mode = mapping.value("mode", "split");
            firmware.code = mapping.at("executable").at("filename");
            if (const auto vars = mapping.find("nvram-template"); vars != mapping.end())
                firmware.variables = vars->at("filename");
        } else {
            firmware.code = mapping.at("filename");
        }
        for (const auto& target : text.at("targets"))
            for (const auto& machine : target.at("machines")) firmware.machines.emplace_back(target.at("architecture"), machine);
        return firmware;
    } catch (const json::exception&) {
        return std::nullopt; // not a descriptor that we understand
    }
}

std::vector<Firmware> find_firmware(const std::string& root) {
    std::map<std::string, std::string> files; // by name: /etc hides /usr
    for (const char* folder : {"/etc/qemu/firmware", "/usr/share/qemu/firmware"}) {
        std::error_code ignored;
        for (const auto& entry : fs::directory_iterator(root + folder, ignored))
            if (entry.path().extension() == ".json") files.emplace(entry.path().filename(), entry.path());
    }
    std::vector<Firmware> all;
    for (const auto& [name, path] : files)
        if (auto firmware = read_descriptor(path)) all.push_back(std::move(*firmware));
    return all;
}

static bool suits(const Firmware& firmware, const std::string& arch, const std::string& machine) {
    for (const auto& [its_arch, pattern] : firmware.machines)
        if (its_arch == arch && ::fnmatch(pattern.c_str(), machine.c_str(), 0) == 0) return true;
    return false;
}

namespace {

bool wants(const std::optional<xml::SleepState>& state) { return state && state->enabled && *state->enabled; }

// A feature that the document names is there or not there, as it says.
bool named_features_fit(const Firmware& firmware, const xml::Os& os) {
    for (const auto& feature : os.firmware_features)
        if (firmware.has(feature.name) != bool(feature.enabled)) return false;
    return true;
}

bool sleep_fits(const Firmware& firmware, const xml::Domain& domain) {
    if (!domain.pm) return true;
    return (!wants(domain.pm->suspend_to_mem) || firmware.has("acpi-s3")) &&
           (!wants(domain.pm->suspend_to_disk) || firmware.has("acpi-s4"));
}

bool security_fits(const Firmware& firmware, const xml::Domain& domain) {
    constexpr std::uint64_t encrypted_state = 1 << 2; // of SEV's policy
    if (!domain.launch_security || domain.launch_security->type != xml::LaunchSecurityType::sev) return true;
    if (!firmware.has("amd-sev")) return false;
    const auto& policy = domain.launch_security->policy;
    return !policy || !(policy->value & encrypted_state) || firmware.has("amd-sev-es");
}

bool loader_fits(const Firmware& firmware, const xml::Os& os) {
    if (os.loader && os.loader->secure && *os.loader->secure && !firmware.secure()) return false;
    const bool stateless = os.loader && os.loader->stateless && *os.loader->stateless;
    return !firmware.flash || firmware.mode == (stateless ? "stateless" : "split");
}

} // namespace

std::optional<Firmware> choose_firmware(const std::vector<Firmware>& all, const xml::Domain& domain) {
    const auto& os = domain.os;
    const std::string interface = os.firmware == xml::Firmware::bios ? "bios" : "uefi";
    for (const auto& firmware : all)
        if (firmware.interfaces.contains(interface) && suits(firmware, os.type.arch, os.type.machine) &&
            named_features_fit(firmware, os) && sleep_fits(firmware, domain) && security_fits(firmware, domain) &&
            loader_fits(firmware, os))
            return firmware;
    return std::nullopt;
}

void apply_firmware(xml::Domain& domain, const Firmware& firmware, const std::string& nvram_dir) {
    auto& os = domain.os;
    if (!os.loader) os.loader.emplace();
    os.loader->path = firmware.code;
    os.loader->type = firmware.flash ? xml::LoaderType::pflash : xml::LoaderType::rom;
    if (firmware.flash) os.loader->readonly = true;
    if (firmware.flash && firmware.mode == "split") {
        if (!os.nvram) os.nvram.emplace();
        os.nvram->template_ = firmware.variables;
        if (!os.nvram->type && os.nvram->path.empty()) os.nvram->path = fmt::format("{}/{}_VARS.fd", nvram_dir, domain.name);
    }
    if (firmware.secure()) {
        if (!domain.features) domain.features.emplace();
        auto& smm = domain.features->smm;
        if (smm && smm->state && !*smm->state)
            rpc::fail(rpc::Code::operation_invalid, "domain has SMM turned off but chosen firmware requires it");
        if (!smm) smm.emplace();
        smm->state = true;
        os.loader->secure = true;
    }
    os.firmware.reset();
    os.firmware_features.clear();
}

std::string template_for(const std::vector<Firmware>& all, const std::vector<std::pair<std::string, std::string>>& pairs,
                         const std::string& code) {
    for (const auto& firmware : all)
        if (firmware.code == code && !firmware.variables.empty()) return firmware.variables;
    for (const auto& [image, variables] : pairs)
        if (image == code) return variables;
    return {};
}

void settle_firmware(xml::Domain& domain, const FirmwareWish& wish) {
    auto& os = domain.os;
    if (!os.firmware) return;
    const auto choice = choose_firmware(find_firmware(), domain);
    if (!choice) rpc::fail(rpc::Code::operation_failed, "Unable to find any firmware to satisfy '{}'", xml::word(*os.firmware));
    apply_firmware(domain, *choice, wish.nvram_dir);
}

// Copies a small file; the copy belongs to `identity` and is whole or not there.
static void copy_template(const std::string& from, const std::string& to, const std::optional<Identity>& identity) {
    const rpc::Fd in(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
    if (!in) rpc::fail_errno(errno, fmt::format("Failed to open file '{}'", from));
    std::error_code ignored;
    fs::create_directories(fs::path(to).parent_path(), ignored);
    const std::string fresh = to + ".new";
    const rpc::Fd out(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!out) rpc::fail_errno(errno, fmt::format("Failed to create file '{}'", to));
    char buffer[65536];
    ssize_t n;
    bool good = true;
    while ((n = ::read(in.get(), buffer, sizeof buffer)) > 0)
        good = good && ::write(out.get(), buffer, static_cast<std::size_t>(n)) == n;
    if (identity) good = good && ::fchown(out.get(), identity->uid, identity->gid) == 0;
    if (n == 0 && good && ::fsync(out.get()) == 0 && ::rename(fresh.c_str(), to.c_str()) == 0) return;
    const int error = errno;
    ::unlink(fresh.c_str());
    rpc::fail_errno(error, fmt::format("Unable to copy '{}' to '{}'", from, to));
}

void prepare_variables(const xml::Domain& domain, const FirmwareWish& wish) {
    const auto& os = domain.os;
    if (!os.loader || os.loader->type != xml::LoaderType::pflash || !os.nvram) return;
    const std::string path = os.nvram_path();
    if (path.empty()) {
        if (wish.reset)
            rpc::fail(rpc::Code::operation_unsupported, "resetting of nvram is not supported with network backed nvram");
        return;
    }
    if (fs::exists(path) && !wish.reset) return;
    std::string from = os.nvram->template_;
    if (from.empty()) from = template_for(find_firmware(), wish.pairs, os.loader->path);
    if (from.empty())
        rpc::fail(rpc::Code::operation_failed, "unable to find any master var store for loader: {}", os.loader->path);
    copy_template(from, path, wish.identity);
}

} // namespace lodge::drivers::qemu
