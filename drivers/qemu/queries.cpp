// What can be asked of a running guest without changing it, and small things done to it: screen, keys, balloon, figures.
#include "drivers/host/sysfs.hpp"
#include "drivers/qemu/answers.hpp"
#include "drivers/qemu/command_line/command_line.hpp"
#include "drivers/qemu/image_nodes.hpp"
#include "drivers/qemu/machine.hpp"
#include "xml/domain/domain.hpp"
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <fcntl.h>
#include <fstream>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace lodge::drivers::qemu {

// ---- screen and keys ----

static std::string read_all(int file) {
    struct stat info{};
    ::fstat(file, &info);
    std::string bytes(static_cast<std::size_t>(info.st_size), 0);
    const ssize_t n = ::pread(file, bytes.data(), bytes.size(), 0);
    bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    return bytes;
}

// Writes into a pipe as its reader takes; ends when all is written or the reader is gone.
static Task<> feed(Fd pipe, std::string bytes) {
    boost::asio::posix::stream_descriptor out(co_await boost::asio::this_coro::executor, pipe.release());
    boost::system::error_code ignored;
    co_await boost::asio::async_write(out, boost::asio::buffer(bytes),
                                      boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
}

// Screens count through all heads of all video devices.
static std::pair<std::string, unsigned> screen_at(const std::vector<xml::Video>& videos, unsigned screen) {
    for (const auto& video : videos) {
        const unsigned heads = video.model.heads.value_or(0);
        if (screen < heads) return {video.info.alias, screen};
        screen -= heads;
    }
    rpc::fail(Code::operation_invalid, "no such screen ID");
}

// QEMU draws into memory of ours, passed as a descriptor: no file, no rights, nothing to clean up.
Task<std::pair<Fd, std::string>> QemuMachine::screenshot(unsigned screen, std::string device) {
    const auto self = shared_from_this();
    const auto& videos = parts_.domain->devices.videos;
    if (videos.empty()) rpc::fail(Code::operation_invalid, "no screens to take screenshot from");
    if (screen > 0 && device.empty()) std::tie(device, screen) = screen_at(videos, screen);
    Fd picture(static_cast<int>(::syscall(SYS_memfd_create, "screenshot", MFD_CLOEXEC)));
    // QEMU picks the descriptor of a set by its access mode.
    Fd for_writing(::open(fmt::format("/proc/self/fd/{}", picture.get()).c_str(), O_WRONLY | O_CLOEXEC));
    if (!picture || !for_writing) rpc::fail_errno(errno, "cannot make room for a screenshot");
    const json added = co_await qmp_->send("add-fd", {{"opaque", "screenshot"}}, std::move(for_writing)).result();
    const std::int64_t set = added.at("fdset-id");
    json arguments = {{"filename", fmt::format("/dev/fdset/{}", set)}, {"format", "png"}};
    if (!device.empty()) {
        arguments["device"] = device;
        arguments["head"] = screen;
    }
    auto dump = qmp_->send("screendump", std::move(arguments));
    auto removed = qmp_->send("remove-fd", {{"fdset-id", set}});
    const json reply = co_await dump.reply();
    co_await removed.reply();
    if (const auto error = reply.find("error"); error != reply.end())
        rpc::fail(Code::internal_error, "unable to execute QEMU command 'screendump': {}", error->value("desc", ""));
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) rpc::fail_errno(errno, "cannot create a pipe");
    background("cannot hand out a screenshot", feed(Fd(ends[1]), read_all(picture.get())));
    co_return std::pair(Fd(ends[0]), std::string("image/png"));
}

Task<> QemuMachine::send_keys(std::vector<unsigned> keys, unsigned hold_ms) {
    const auto self = shared_from_this();
    json pressed = json::array();
    for (const unsigned key : keys) pressed.push_back({{"type", "number"}, {"data", key}});
    json arguments = {{"keys", std::move(pressed)}};
    if (hold_ms > 0) arguments["hold-time"] = hold_ms;
    co_await ask("send-key", std::move(arguments));
}

Task<> QemuMachine::inject_nmi() {
    const auto self = shared_from_this();
    co_await ask("inject-nmi");
}

Task<> QemuMachine::open_graphics(unsigned display, Fd connection, bool skip_authentication) {
    const auto self = shared_from_this();
    const auto& all = parts_.domain->devices.graphics;
    if (display >= all.size()) rpc::fail(Code::internal_error, "No graphics backend with index {}", display);
    const auto type = all[display].type;
    if (type != xml::GraphicsType::vnc && type != xml::GraphicsType::spice && type != xml::GraphicsType::dbus)
        rpc::fail(Code::config_unsupported, "Can only open VNC, SPICE or D-Bus p2p graphics backends, not {}", word(type));
    const char* protocol = type == xml::GraphicsType::vnc ? "vnc" : type == xml::GraphicsType::spice ? "spice" : "@dbus-display";
    constexpr const char* name = "graphicsfd";
    auto passed = qmp_->send("getfd", {{"fdname", name}}, std::move(connection));
    auto added = qmp_->send("add_client", {{"protocol", protocol}, {"fdname", name}, {"skipauth", skip_authentication}});
    co_await passed.result();
    std::exception_ptr failure;
    try {
        co_await added.result();
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure) co_return;
    co_await qmp_->send("closefd", {{"fdname", name}}).reply(); // what QEMU did not take, it would keep
    std::rethrow_exception(failure);
}

// ---- memory ----

Task<std::uint64_t> QemuMachine::balloon_kib() {
    const auto self = shared_from_this();
    const auto& balloon = parts_.domain->devices.memballoon;
    if (!balloon || balloon->model == xml::BalloonModel::none) co_return parts_.domain->total_memory_kib();
    const json reply = co_await qmp_->send("query-balloon").reply();
    const auto answer = reply.find("return");
    // No driver in the guest yet: nothing was taken away.
    if (answer == reply.end()) co_return parts_.domain->total_memory_kib();
    co_return answer->value("actual", std::uint64_t{0}) / 1024;
}

Task<> QemuMachine::set_balloon(std::uint64_t kib) {
    const auto self = shared_from_this();
    co_await ask("balloon", {{"value", kib * 1024}});
}

Task<> QemuMachine::set_balloon_period(unsigned seconds) {
    const auto self = shared_from_this();
    const auto& balloon = parts_.domain->devices.memballoon;
    if (!balloon || balloon->info.alias.empty())
        rpc::fail(Code::operation_invalid, "No memory balloon device configured, can not set the collection period");
    co_await ask("qom-set", {{"path", "/machine/peripheral/" + balloon->info.alias},
                             {"property", "guest-stats-polling-interval"},
                             {"value", seconds}});
}

Task<std::map<std::string, std::uint64_t>> QemuMachine::memory_stats() {
    const auto self = shared_from_this();
    std::map<std::string, std::uint64_t> stats;
    stats["actual"] = co_await balloon_kib();
    const auto& balloon = parts_.domain->devices.memballoon;
    if (balloon && !balloon->info.alias.empty()) {
        const json reply =
            co_await qmp_->send("qom-get", {{"path", "/machine/peripheral/" + balloon->info.alias}, {"property", "guest-stats"}})
                .reply();
        if (const auto answer = reply.find("return"); answer != reply.end()) stats.merge(memory_figures(*answer));
    }
    stats["rss"] = resident_kib();
    co_return stats;
}

// ---- CPUs ----

namespace {
// Fields of a stat file of /proc, counted as proc(5) does.
std::vector<std::uint64_t> stat_fields(const std::string& path) {
    const std::string text = read_small_file(path);
    std::vector<std::uint64_t> fields(3, 0); // there is no field 0; 1 and 2 are no numbers
    const char* at = text.c_str() + std::min(text.rfind(')'), text.size());
    if (*at == ')') ++at;
    while (*at == ' ') {
        fields.push_back(std::strtoull(at, nullptr, 10));
        at = std::strchr(at + 1, ' ');
        if (!at) break;
    }
    return fields;
}
// schedstat tells how long the thread was ready to run; sched, where the kernel keeps it, how long it waited.
void read_waits(VcpuInfo& vcpu, const std::string& task) {
    const std::string schedstat = read_small_file(task + "/schedstat");
    if (const auto blank = schedstat.find(' '); blank != std::string::npos)
        vcpu.delay_ns = std::strtoull(schedstat.c_str() + blank, nullptr, 10);
    const std::string sched = read_small_file(task + "/sched");
    const auto at = sched.find("wait_sum");
    const auto colon = at == std::string::npos ? at : sched.find(':', at);
    if (colon != std::string::npos)
        vcpu.wait_ns = static_cast<std::uint64_t>(std::strtod(sched.c_str() + colon + 1, nullptr) * 1e6);
}
std::uint64_t ticks_to_ns(std::uint64_t ticks) {
    return ticks * (1'000'000'000ULL / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK)));
}
} // namespace

Task<CpuTime> QemuMachine::cpu_time() {
    CpuTime time;
    const auto fields = stat_fields(fmt::format("/proc/{}/stat", pid()));
    if (fields.size() > 15) {
        time.user_ns = ticks_to_ns(fields[14]);
        time.system_ns = ticks_to_ns(fields[15]);
    }
    time.total_ns = parts_.runtime.cgroup.cpu_time_ns().value_or(time.user_ns + time.system_ns);
    co_return time;
}

Task<GuestCpuTimes> QemuMachine::cpu_times() {
    const auto& group = parts_.runtime.cgroup;
    GuestCpuTimes times{group.cpu_times_ns(), group.vcpu_times_ns()};
    if (times.all_ns.empty()) rpc::fail(Code::operation_invalid, "cgroup CPUACCT controller is not mounted");
    co_return times;
}

Task<std::vector<VcpuInfo>> QemuMachine::vcpus() {
    std::vector<VcpuInfo> list;
    for (unsigned i = 0; i < vcpu_threads_.size(); ++i) {
        VcpuInfo vcpu;
        vcpu.number = i;
        vcpu.online = vcpu_threads_[i] != 0;
        // Under TCG all CPUs may share one thread; its time is told for each.
        const auto fields = stat_fields(fmt::format("/proc/{}/task/{}/stat", pid(), vcpu_threads_[i]));
        if (vcpu.online && fields.size() > 39) {
            vcpu.cpu_time_ns = ticks_to_ns(fields[14] + fields[15]);
            vcpu.cpu = static_cast<int>(fields[39]);
            vcpu.cpus = cpus_of_thread(vcpu_threads_[i]);
            read_waits(vcpu, fmt::format("/proc/{}/task/{}", pid(), vcpu_threads_[i]));
        }
        list.push_back(vcpu);
    }
    co_return list;
}

// ---- disks ----

Task<std::map<std::string, BlockStats>> QemuMachine::block_stats() {
    const auto self = shared_from_this();
    co_return block_figures(*parts_.domain, co_await ask("query-blockstats"));
}

Task<BlockInfo> QemuMachine::block_info(std::string target) {
    const auto self = shared_from_this();
    const xml::Disk* disk = nullptr;
    for (const auto& candidate : parts_.domain->devices.disks)
        if (candidate.target.dev == target) disk = &candidate;
    if (!disk) rpc::fail(Code::invalid_arg, "invalid path {} not assigned to domain", target);
    if (disk->source.empty()) rpc::fail(Code::invalid_arg, "disk '{}' does not currently have a source assigned", target);
    const std::string top = block_nodes(*disk, {}).top;
    const std::string path = disk->source.path;
    BlockInfo info;
    for (const json nodes = co_await ask("query-named-block-nodes", {{"flat", true}}); const auto& node : nodes)
        if (node.value("node-name", "") == top) info.capacity = node.at("image").value("virtual-size", std::uint64_t{0});
    struct stat file{};
    std::uint64_t device_size = 0;
    co_await rpc::blocking([&] {
        if (path.empty() || ::stat(path.c_str(), &file) < 0 || !S_ISBLK(file.st_mode)) return;
        const Fd device(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        device_size = static_cast<std::uint64_t>(std::max<off_t>(0, ::lseek(device.get(), 0, SEEK_END)));
    });
    info.physical = S_ISBLK(file.st_mode) ? device_size : static_cast<std::uint64_t>(file.st_size);
    info.allocation = S_ISBLK(file.st_mode) ? device_size : static_cast<std::uint64_t>(file.st_blocks) * 512;
    if (info.capacity == 0) info.capacity = info.physical;
    co_return info;
}

// ---- plain words to QEMU ----

Task<std::string> QemuMachine::monitor_command(std::string command, bool human, Fd file) {
    may_measure_dirty_rate_ = true;
    const auto self = shared_from_this();
    if (human) {
        const json answer = co_await qmp_->send("human-monitor-command", {{"command-line", command}}, std::move(file)).result();
        co_return answer.is_string() ? answer.get<std::string>() : answer.dump();
    }
    const json message = json::parse(command, nullptr, false);
    if (!message.is_object() || !message.contains("execute") || !message["execute"].is_string())
        rpc::fail(Code::internal_error, "cannot parse json {}: an object with 'execute' is expected", command);
    json arguments = message.value("arguments", json());
    json reply = co_await qmp_->send(message["execute"], std::move(arguments), std::move(file)).reply();
    // The number is ours, not the caller's.
    reply.erase("id");
    if (const auto id = message.find("id"); id != message.end()) reply["id"] = *id;
    co_return reply.dump();
}

// QEMU writes it to a file of the guest's own folder.
Task<std::string> QemuMachine::peek_memory(bool physical, std::uint64_t address, std::uint64_t size) {
    const auto self = shared_from_this();
    const std::string path = parts_.runtime.domain_dir + "/memory-peek";
    co_await rpc::blocking([&] { make_image_file(path, false, parts_.runtime.identity); });
    std::exception_ptr failure;
    std::string bytes;
    try {
        co_await ask(physical ? "pmemsave" : "memsave", {{"val", address}, {"size", size}, {"filename", path}});
        co_await rpc::blocking([&] {
            std::ifstream file(path, std::ios::binary);
            bytes.assign(std::istreambuf_iterator<char>(file), {});
        });
    } catch (...) {
        failure = std::current_exception();
    }
    co_await rpc::blocking([&] { ::unlink(path.c_str()); });
    if (failure) std::rethrow_exception(failure);
    bytes.resize(size);
    co_return bytes;
}

} // namespace lodge::drivers::qemu
