// bench_document FILE SECONDS: reads, completes and writes the domain in FILE over and over, as a define does, and prints the
// milliseconds of CPU time that each of the three takes. QEMU's capabilities are probed once, before it counts.
#include "drivers/qemu/driver.hpp"
#include "xml/domain/domain.hpp"
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace lodge;
namespace asio = boost::asio;

static double cpu_seconds() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

static rpc::Task<> measure(drivers::Driver& driver, std::string text, double seconds) {
    xml::Domain warm = xml::parse_domain(text, {});
    co_await driver.complete(warm);
    double parse = 0, complete = 0, format = 0, begin = cpu_seconds();
    const double end = begin + seconds;
    int count = 0;
    for (; begin < end; ++count) {
        xml::Domain domain = xml::parse_domain(text, {});
        const double parsed = cpu_seconds();
        co_await driver.complete(domain);
        const double completed = cpu_seconds();
        const auto out = xml::format_domain(domain, {.live = false, .secret = true});
        const double formatted = cpu_seconds();
        parse += parsed - begin, complete += completed - parsed, format += formatted - completed;
        begin = formatted;
    }
    std::printf("%.4f %.4f %.4f\n", parse * 1000 / count, complete * 1000 / count, format * 1000 / count);
}

struct NoSecrets final : drivers::SecretValues {
    std::string by_uuid(const rpc::Uuid&, xml::SecretUsage) const override { return {}; }
    std::string by_usage(xml::SecretUsage, const std::string&) const override { return {}; }
};

int main(int argc, char** argv) {
    if (argc != 3) return std::fprintf(stderr, "bench_document FILE SECONDS\n"), 2;
    std::ifstream file(argv[1]);
    std::stringstream text;
    text << file.rdbuf();
    char folder[] = "/tmp/lodge-bench-XXXXXX";
    const std::string root = mkdtemp(folder);
    drivers::Paths paths;
    for (std::string* path : {&paths.etc, &paths.run, &paths.lib, &paths.log, &paths.cache}) *path = root + *path;
    asio::io_context io(1);
    const NoSecrets secrets;
    auto driver = drivers::qemu::make_driver(io.get_executor(), paths, paths.etc + "/qemu.conf", secrets);
    int status = 0;
    asio::co_spawn(io, measure(*driver, text.str(), std::stod(argv[2])), [&](std::exception_ptr failure) {
        try {
            if (failure) std::rethrow_exception(failure);
        } catch (const std::exception& error) {
            status = 1;
            std::fprintf(stderr, "bench_document: %s\n", error.what());
        }
        io.stop();
    });
    io.run();
    std::fflush(stdout);
    std::filesystem::remove_all(root);
    _exit(status); // the driver's own work is not waited for
}
