#include "drivers/host/node_stats.hpp"
#include "drivers/host/sysfs.hpp"
#include "rpc/error.hpp"
#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/sysinfo.h>
#include <unistd.h>

namespace lodge::drivers {

using rpc::Code;
namespace fs = std::filesystem;

static std::string read_whole(const std::string& path) {
    std::ifstream in(path);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

// ---- CPUs ----

std::optional<CpuTimes> host_cpu_times(int cpu, const std::string& root) {
    const std::string wanted = cpu < 0 ? "cpu" : fmt::format("cpu{}", cpu);
    std::istringstream lines(read_whole(root + "/proc/stat"));
    const std::uint64_t tick = 1'000'000'000 / static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string name;
        std::uint64_t user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0;
        if (!(words >> name) || name != wanted) continue;
        words >> user >> nice >> system >> idle >> iowait >> irq >> softirq;
        return CpuTimes{(user + nice) * tick, (system + irq + softirq) * tick, idle * tick, iowait * tick};
    }
    return std::nullopt;
}

CpuMap host_cpu_map(const std::string& root) {
    const std::string folder = root + "/sys/devices/system/cpu/";
    const auto online = parse_cpu_list(read_small_file(folder + "online"));
    auto present = parse_cpu_list(read_small_file(folder + "present"));
    if (present.empty()) present = online;
    CpuMap map;
    map.online.resize(present.empty() ? 0 : present.back() + 1);
    for (const unsigned cpu : online)
        if (cpu < map.online.size()) map.online[cpu] = true;
    return map;
}

unsigned CpuMap::count() const { return static_cast<unsigned>(std::ranges::count(online, true)); }

// ---- memory ----

static MemoryFigures read_meminfo(const std::string& path) {
    const std::string text = read_whole(path);
    return {meminfo_kib(text, "MemTotal"), meminfo_kib(text, "MemFree"), meminfo_kib(text, "Buffers"),
            meminfo_kib(text, "Cached")};
}

static std::string cell_folder(unsigned cell, const std::string& root) {
    return fmt::format("{}/sys/devices/system/node/node{}", root, cell);
}

MemoryFigures host_memory(const std::string& root) { return read_meminfo(root + "/proc/meminfo"); }

unsigned host_cells(const std::string& root) {
    const auto cells = parse_cpu_list(read_small_file(root + "/sys/devices/system/node/online"));
    return cells.empty() ? 1 : cells.back() + 1;
}

std::optional<MemoryFigures> host_cell_memory(unsigned cell, const std::string& root) {
    const std::string path = cell_folder(cell, root) + "/meminfo";
    if (fs::exists(path)) {
        auto figures = read_meminfo(path);
        figures.buffers = figures.cached = 0;
        return figures;
    }
    if (cell == 0 && host_cells(root) == 1) return host_memory(root);
    return std::nullopt;
}

std::uint64_t host_free_bytes() {
    struct sysinfo info{};
    if (::sysinfo(&info) != 0) rpc::fail_errno(errno, "cannot obtain free memory");
    return static_cast<std::uint64_t>(info.freeram) * info.mem_unit;
}

// ---- pages ----

static std::string pages_folder(unsigned size_kib, int cell, const std::string& root) {
    const std::string place = cell < 0 ? root + "/sys/kernel/mm" : cell_folder(static_cast<unsigned>(cell), root);
    return fmt::format("{}/hugepages/hugepages-{}kB", place, size_kib);
}

static std::uint64_t free_huge_kib(int cell, const std::string& root) {
    std::uint64_t sum = 0;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(fs::path(pages_folder(0, cell, root)).parent_path(), ignored)) {
        const auto size = static_cast<unsigned>(std::atoi(entry.path().filename().c_str() + sizeof "hugepages-" - 1));
        sum += size * read_number(entry.path().string() + "/nr_hugepages").value_or(0);
    }
    return sum;
}

std::optional<std::uint64_t> host_free_pages(unsigned size_kib, int cell, const std::string& root) {
    const auto page_kib = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) / 1024;
    if (size_kib != page_kib) return read_number(pages_folder(size_kib, cell, root) + "/free_hugepages");
    const auto memory = cell < 0 ? host_memory(root) : host_cell_memory(static_cast<unsigned>(cell), root);
    if (!memory) return std::nullopt;
    const std::uint64_t huge = free_huge_kib(cell, root);
    return (memory->free - std::min(memory->free, huge)) / page_kib;
}

static void write_number(const std::string& path, std::uint64_t value) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
    const std::string text = std::to_string(value);
    const bool written = fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    const int error = errno;
    if (fd >= 0) ::close(fd);
    if (!written) rpc::fail_errno(error, fmt::format("Unable to write to: {}", path));
}

void host_allocate_pages(unsigned size_kib, int cell, std::uint64_t count, bool add, const std::string& root) {
    if (size_kib * 1024ULL == static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)))
        rpc::fail(Code::operation_unsupported, "system pages pool can't be modified");
    const std::string path = pages_folder(size_kib, cell, root) + "/nr_hugepages";
    const auto now = read_number(path);
    if (!now)
        rpc::fail(Code::operation_failed, "page size {} is not available{}", size_kib,
                  cell < 0 ? "" : fmt::format(" on node {}", cell));
    const std::uint64_t wanted = add ? *now + count : count;
    if (wanted == *now) return;
    write_number(path, wanted);
    const auto got = read_number(path).value_or(0);
    if (got != wanted) rpc::fail(Code::operation_failed, "Unable to allocate {} pages. Allocated only {}", wanted, got);
}

// ---- the kernel's merging of equal pages ----

static std::string ksm_file(const std::string& name, const std::string& root) { return root + "/sys/kernel/mm/ksm/" + name; }

std::optional<std::uint64_t> host_ksm(const std::string& name, const std::string& root) {
    return read_number(ksm_file(name, root));
}
void host_set_ksm(const std::string& name, std::uint64_t value, const std::string& root) {
    write_number(ksm_file(name, root), value);
}

// ---- firmware ----

std::map<std::string, std::vector<std::pair<std::string, std::string>>> host_smbios(const std::string& root) {
    struct Fact {
        const char *group, *name, *file;
    };
    static constexpr Fact facts[] = {
        {"bios", "vendor", "bios_vendor"},
        {"bios", "version", "bios_version"},
        {"bios", "date", "bios_date"},
        {"bios", "release", "bios_release"},
        {"system", "manufacturer", "sys_vendor"},
        {"system", "product", "product_name"},
        {"system", "version", "product_version"},
        {"system", "serial", "product_serial"},
        {"system", "uuid", "product_uuid"},
        {"system", "sku", "product_sku"},
        {"system", "family", "product_family"},
        {"baseBoard", "manufacturer", "board_vendor"},
        {"baseBoard", "product", "board_name"},
        {"baseBoard", "version", "board_version"},
        {"baseBoard", "serial", "board_serial"},
        {"baseBoard", "asset", "board_asset_tag"},
        {"chassis", "manufacturer", "chassis_vendor"},
        {"chassis", "version", "chassis_version"},
        {"chassis", "serial", "chassis_serial"},
        {"chassis", "asset", "chassis_asset_tag"},
    };
    std::map<std::string, std::vector<std::pair<std::string, std::string>>> groups;
    for (const auto& fact : facts)
        if (auto value = read_small_file(fmt::format("{}/sys/class/dmi/id/{}", root, fact.file)); !value.empty())
            groups[fact.group].emplace_back(fact.name, std::move(value));
    return groups;
}

// ---- CPU models ----

bool is_architecture(const std::string& arch) {
    static constexpr std::string_view names[] = {
        "alpha", "armv6l",     "armv7l",       "armv7b",    "aarch64", "cris",    "i686",     "ia64",     "lm32",   "loongarch64",
        "m68k",  "microblaze", "microblazeel", "mips",      "mipsel",  "mips64",  "mips64el", "openrisc", "parisc", "parisc64",
        "ppc",   "ppcle",      "ppc64",        "ppc64le",   "ppcemb",  "riscv32", "riscv64",  "s390",     "s390x",  "sh4",
        "sh4eb", "sparc",      "sparc64",      "unicore32", "x86_64",  "xtensa",  "xtensaeb"};
    return std::ranges::find(names, arch) != std::end(names);
}

// The value of the first NAME='…' or NAME="…" behind `after`.
static std::string quoted_value(const std::string& text, std::size_t after, const std::string& name) {
    const auto at = text.find(name + "=", after);
    if (at == std::string::npos) return {};
    const auto open = at + name.size() + 1;
    const auto close = text.find(text[open], open + 1);
    return close == std::string::npos ? std::string() : text.substr(open + 1, close - open - 1);
}

std::vector<std::string> host_cpu_models(const std::string& arch, const std::string& root) {
    const std::string family = arch == "x86_64" || arch == "i686" ? "x86" : arch == "ppc64" || arch == "ppc64le" ? "ppc64" : "";
    std::vector<std::string> models;
    if (family.empty()) return models;
    const std::string folder = root + "/usr/share/libvirt/cpu_map/";
    const std::string index = read_whole(folder + "index.xml");
    std::size_t at = index.find("<arch name='" + family + "'");
    const std::size_t end = index.find("</arch>", at);
    while (at != std::string::npos && (at = index.find("<include ", at)) < end) {
        const std::string text = read_whole(folder + quoted_value(index, at, "filename"));
        // Each file of a model begins with it; other files hold features and vendors.
        if (const auto model = text.find("<model "); model != std::string::npos)
            models.push_back(quoted_value(text, model, "name"));
        ++at;
    }
    return models;
}

} // namespace lodge::drivers
