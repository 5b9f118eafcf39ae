#include "drivers/qemu/probe.hpp"
#include "drivers/qemu/qmp.hpp"
#include "rpc/finish_blocking.hpp"
#include "tests/catch.hpp"
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace lodge;
using namespace lodge::drivers;
using namespace lodge::drivers::qemu;
namespace asio = boost::asio;
namespace fs = std::filesystem;

namespace {

struct Bench {
    std::string folder = (fs::temp_directory_path() / fmt::format("lodge-probe-{}", ::getpid())).string();
    ~Bench() { fs::remove_all(folder); }

    std::string program(const std::string& script) {
        fs::create_directories(folder);
        const std::string path = folder + "/emulator";
        std::ofstream(path) << "#!/bin/sh\n" << script << "\n";
        fs::permissions(path, fs::perms::owner_all);
        return path;
    }
    // What get() says, or its error.
    std::string ask(EmulatorCache& cache, asio::io_context& io, const std::string& path) {
        std::string said;
        asio::co_spawn(io, cache.get(path), [&](std::exception_ptr error, std::shared_ptr<const EmulatorInfo> info) {
            try {
                if (error) std::rethrow_exception(error);
                said = fmt::format("{} {} {}", info->arch, info->version, info->machines.size());
            } catch (const rpc::Error& e) {
                said = e.message();
            }
            io.stop();
        });
        io.restart();
        io.run_for(10s);
        rpc::finish_blocking();
        return said;
    }
};

} // namespace

TEST_CASE("an emulator that cannot be probed says why") {
    Bench bench;
    asio::io_context io;
    EmulatorCache cache(io.get_executor(), bench.folder + "/cache", std::nullopt);
    CHECK(bench.ask(cache, io, "/nowhere/qemu") == "Cannot check QEMU binary /nowhere/qemu: No such file or directory");
    CHECK(bench.ask(cache, io, bench.program("echo bad luck >&2; exit 1")) ==
          "internal error: Failed to probe QEMU binary with QMP: bad luck");
    CHECK_FALSE(fs::exists(bench.folder + "/cache"));
}

TEST_CASE("what is known of an emulator survives being kept") {
    EmulatorInfo info;
    info.path = "/usr/bin/qemu";
    info.machines = {{"pc-i440fx-7.2", "pc", 255, "x", "pc.ram", true, false, true, false}};
    info.cpus = {{"486", "486-v1", {"pni"}, false}};
    info.types = {"a", "b"};
    info.cpu_properties = {{"sse", {true, false}}};
    const json kept = info;
    CHECK(json::parse(kept.dump()).get<EmulatorInfo>() == info);
    CHECK(info.machine("pc") == &info.machines[0]);
    CHECK(info.machine("") == &info.machines[0]);
    CHECK_FALSE(info.machine("q35"));
}

TEST_CASE("a real emulator is asked once", "[qemu]") {
    const std::string real = find_program("qemu-system-x86_64");
    if (real.empty()) return;
    Bench bench;
    asio::io_context io;
    EmulatorCache cache(io.get_executor(), bench.folder + "/cache", std::nullopt);
    const std::string said = bench.ask(cache, io, real);
    CHECK(said.starts_with("x86_64 "));
    const std::string file = fmt::format("{}/cache/lodge_usr_bin_qemu-system-x86_64.json", bench.folder);
    CHECK(fs::exists(file));
    EmulatorCache other(io.get_executor(), bench.folder + "/cache", std::nullopt);
    CHECK(bench.ask(other, io, real) == said);
    std::ofstream(file) << "{\"stamp\": \"old\"}";
    EmulatorCache third(io.get_executor(), bench.folder + "/cache", std::nullopt);
    CHECK(bench.ask(third, io, real) == said);
}
