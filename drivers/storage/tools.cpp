#include "drivers/storage/tools.hpp"
#include "rpc/error.hpp"
#include <algorithm>
#include <sstream>
#include <unistd.h>

namespace lodge::drivers {

using rpc::Code;

namespace {

struct Package {
    std::string_view prefix, name;
};
constexpr Package packages[] = {{"scrub", "scrub"},
                                {"mkfs.ext", "e2fsprogs"},
                                {"mkfs.xfs", "xfsprogs"},
                                {"mkfs", "util-linux"},
                                {"pv", "lvm2"},
                                {"vg", "lvm2"},
                                {"lv", "lvm2"},
                                {"blkid", "util-linux"},
                                {"parted", "parted"},
                                {"iscsiadm", "open-iscsi"},
                                {"multipath", "multipath-tools"},
                                {"mount", "mount"},
                                {"umount", "mount"},
                                {"showmount", "nfs-common"}};

std::string located(const std::string& program) {
    for (const char* folder : {"", "/usr/sbin/", "/sbin/"})
        if (auto found = find_program(folder + program); !found.empty()) return found;
    return {};
}

} // namespace

bool has_tool(const std::string& program) { return !located(program).empty(); }

Command tool(const std::string& program, std::vector<std::string> args) {
    Command command;
    command.program = located(program);
    if (command.program.empty()) {
        const auto package =
            std::ranges::find_if(packages, [&](const Package& each) { return program.starts_with(each.prefix); });
        rpc::fail(Code::system_error, "Cannot find '{}' in path: No such file or directory{}", program,
                  package == std::end(packages) ? "" : fmt::format("; the package {} has it", package->name));
    }
    command.args = std::move(args);
    return command;
}

Task<std::string> run_tool(Command command) {
    auto result = co_await run_checked(std::move(command), {.time = std::chrono::hours(24 * 365)});
    co_return std::move(result.out);
}

Task<std::string> probe_device(std::string device) {
    constexpr int nothing_found = 2;
    const auto result = co_await run(tool("blkid", {"-p", "-o", "export", device}));
    if (result.exit.success()) {
        std::istringstream lines(result.out);
        std::string table;
        for (std::string line; std::getline(lines, line);) {
            if (line.starts_with("TYPE=")) co_return line.substr(5);
            if (line.starts_with("PTTYPE=")) table = line.substr(7);
        }
        co_return table;
    }
    if (!result.exit.known || result.exit.signal || result.exit.code != nothing_found)
        rpc::fail(Code::storage_probe_failed, "Failed to create filesystem probe for device {}", device);
    co_return std::string();
}

Task<> require_empty_device(std::string device, std::string format) {
    const auto found = co_await probe_device(device);
    if (found.empty()) co_return;
    if (found == format) rpc::fail(Code::storage_pool_built, "Device '{}' already formatted using '{}'", device, format);
    rpc::fail(Code::storage_pool_built,
              "Format of device '{}' does not match the expected format '{}', forced overwrite is necessary", device, format);
}

} // namespace lodge::drivers
