// A real QEMU (TCG, no guest beyond its firmware) from launch to end; and emulators that refuse, die or hang.
#include "drivers/qemu/complete/complete.hpp"
#include "drivers/qemu/launch.hpp"
#include "drivers/qemu/machine.hpp"
#include "rpc/finish_blocking.hpp"
#include "tests/catch.hpp"
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace lodge;
using namespace lodge::drivers;
using namespace lodge::drivers::qemu;
namespace asio = boost::asio;
namespace fs = std::filesystem;

namespace {

struct Sink final : MachineSink {
    std::vector<std::string> told;
    std::function<void(const std::string& disk)> conclude;
    void on_machine_event(MachineEvent event) override {
        if (std::holds_alternative<event::Paused>(event))
            told.push_back(fmt::format("paused {}", static_cast<int>(std::get<event::Paused>(event).reason)));
        if (std::holds_alternative<event::Resumed>(event)) told.emplace_back("resumed");
        if (std::holds_alternative<event::Rebooted>(event)) told.emplace_back("rebooted");
        if (std::holds_alternative<event::Ended>(event))
            told.push_back(fmt::format("ended {}", static_cast<int>(std::get<event::Ended>(event).reason)));
        if (std::holds_alternative<event::JobCompleted>(event)) {
            const auto& job = std::get<event::JobCompleted>(event);
            told.push_back(fmt::format("job {}", job.success ? "done" : job.error));
        }
        // As the daemon does, once the domain's job is free.
        if (std::holds_alternative<event::BlockJobOver>(event) && conclude) conclude(std::get<event::BlockJobOver>(event).disk);
    }
};

// A host of its own below a folder: nothing outside it is touched, QEMU runs as whoever runs the test.
struct House {
    std::string root = (fs::temp_directory_path() / fmt::format("lodge-machine-{}", ::getpid())).string();
    asio::io_context io;
    Sink sink;
    std::shared_ptr<World> world = std::make_shared<World>();

    House() { furnish(); }
    ~House() {
        rpc::finish_blocking();
        fs::remove_all(root);
    }
    void furnish() {
        fs::create_directories(root);
        world->executor = io.get_executor();
        world->paths = {root + "/etc", root + "/run", root + "/lib", root + "/log", root + "/cache"};
        world->displays = std::make_shared<Displays>(world->settings);
        world->emulators = std::make_shared<EmulatorCache>(io.get_executor(), root + "/cache", std::nullopt);
    }
    template<class T> T finish(Task<T> task) {
        std::optional<T> result;
        std::exception_ptr failure;
        asio::co_spawn(io, std::move(task), [&](std::exception_ptr error, T value) {
            failure = error;
            result = std::move(value);
            io.stop();
        });
        io.restart();
        io.run_for(60s);
        if (failure) std::rethrow_exception(failure);
        REQUIRE(result);
        return std::move(*result);
    }
    void finish(Task<> task) {
        finish([](Task<> inner) -> Task<bool> {
            co_await std::move(inner);
            co_return true;
        }(std::move(task)));
    }
    // Lets things happen until `text` was told.
    bool hear(const std::string& text) {
        for (int i = 0; i < 500; ++i) {
            if (std::find(sink.told.begin(), sink.told.end(), text) != sink.told.end()) return true;
            io.restart();
            io.run_for(20ms);
        }
        return false;
    }
    std::shared_ptr<xml::Domain> domain(const std::string& devices = "", const std::string& os = "") {
        auto document =
            xml::parse_domain(fmt::format("<domain type='qemu'><name>box</name><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>"
                                          "<memory unit='MiB'>32</memory><os><type arch='x86_64' machine='pc'>hvm</type>{}</os>"
                                          "<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>{}<serial type='pty'/>"
                                          "<memballoon model='none'/></devices></domain>",
                                          os, devices),
                              {});
        CompleteContext context;
        EmulatorProfile profile;
        profile.path = "/usr/bin/qemu-system-x86_64";
        profile.arch = "x86_64";
        profile.machines = {{"pc-i440fx-7.2", "pc", "qemu64", 255, true}};
        const auto info = finish(world->emulators->get(profile.path));
        profile.devices.assign(info->types.begin(), info->types.end());
        context.emulators = {profile};
        complete(document, context);
        return std::make_shared<xml::Domain>(std::move(document));
    }
    std::shared_ptr<Machine> launch(std::shared_ptr<xml::Domain> document, bool paused = false) {
        LaunchRequest request;
        request.domain = std::move(document);
        request.id = 7;
        request.paused = paused;
        request.sink = &sink;
        return finish(launch_machine(world, std::move(request)));
    }
    std::string refused(std::shared_ptr<xml::Domain> document) {
        try {
            launch(std::move(document));
        } catch (const rpc::Error& error) {
            return error.message();
        }
        return "started";
    }
    // Nothing of a guest is left; but why its start failed.
    bool empty() const {
        std::error_code absent;
        for (const auto& entry : fs::directory_iterator(root + "/lib/qemu", absent))
            if (entry.path().filename() != "failed") return false;
        return !fs::exists(root + "/run/qemu/box.pid");
    }
    std::string script(const std::string& text) {
        const std::string path = root + "/emulator";
        std::ofstream(path) << "#!/bin/sh\n" << text << "\n";
        fs::permissions(path, fs::perms::owner_all);
        return path;
    }
};

bool have_qemu() { return !find_program("/usr/bin/qemu-system-x86_64").empty(); }

} // namespace

TEST_CASE("a guest is started, asked, paused, resumed and destroyed", "[qemu]") {
    if (!have_qemu()) return;
    House house;
    auto document = house.domain("<video><model type='vga'/></video>");
    const auto machine = house.launch(document);
    CHECK(machine->state() == RunState::running);
    CHECK(document->devices.serials.at(0).source.first().path.starts_with("/dev/pts/"));
    CHECK(fs::exists(house.root + "/run/qemu/box.pid"));
    house.finish(machine->suspend(PauseReason::user));
    CHECK(machine->state() == RunState::paused);
    house.finish(machine->resume());
    CHECK(house.hear("resumed"));
    CHECK(house.sink.told == std::vector<std::string>{"paused 1", "resumed"});
    CHECK(house.finish(machine->monitor_command(R"({"execute":"query-status"})", false, {})).find("running") !=
          std::string::npos);
    CHECK(house.finish(machine->monitor_command("info status", true, {})).find("running") != std::string::npos);
    const auto picture = house.finish([](std::shared_ptr<Machine> m) -> Task<std::string> {
        const auto shot = co_await m->screenshot(0);
        co_await rpc::sleep_for(50ms); // it is fed by the same loop
        char head[8] = {};
        co_return std::string(head, static_cast<std::size_t>(std::max<ssize_t>(0, ::read(shot.first.get(), head, 8))));
    }(machine));
    CHECK(picture.substr(1, 3) == "PNG");
    CHECK(house.finish(machine->vcpus()).size() == 1);
    CHECK(house.finish(machine->cpu_time()).total_ns > 0);
    house.finish(machine->send_keys({28}, 0));
    house.finish(machine->reset());
    CHECK(house.hear("rebooted"));
    house.finish(machine->destroy(false, EndReason::destroyed));
    CHECK(house.sink.told.back() == "ended 1");
    CHECK(house.empty());
    std::ifstream log(house.root + "/log/qemu/box.log");
    const std::string words(std::istreambuf_iterator<char>(log), {});
    CHECK(words.find("-name guest=box") != std::string::npos);
    CHECK(words.find("shutting down, reason=destroyed") != std::string::npos);
}

TEST_CASE("a guest outlives its daemon and is found again", "[qemu]") {
    if (!have_qemu()) return;
    std::string status;
    std::shared_ptr<xml::Domain> document;
    House second;
    pid_t pid;
    {
        House first;
        first.root = second.root;
        first.furnish();
        document = first.domain();
        const auto machine = first.launch(document, true);
        status = machine->status();
        pid = static_cast<pid_t>(machine->pid());
        first.root = second.root + "/nothing"; // the first house leaves the furniture
    }
    const auto adopt = [&] { return second.finish(adopt_machine(second.world, {document, 7, status, &second.sink})); };
    auto machine = adopt();
    CHECK(machine->pid() == pid);
    CHECK(machine->state() == RunState::paused);
    second.finish(machine->resume());
    CHECK(second.hear("resumed"));
    second.finish(machine->destroy(true, EndReason::destroyed));
    CHECK(second.sink.told.back() == "ended 1");
    CHECK(second.empty());
    CHECK_THROWS_WITH(adopt(), Catch::Contains("ended while no daemon was running"));
}

TEST_CASE("an end that nobody asked for is told", "[qemu]") {
    if (!have_qemu()) return;
    House house;
    const auto machine = house.launch(house.domain());
    SECTION("killed") {
        ::kill(static_cast<pid_t>(machine->pid()), SIGKILL);
        CHECK(house.hear("ended 2"));
    }
    SECTION("terminated") {
        ::kill(static_cast<pid_t>(machine->pid()), SIGTERM);
        CHECK(house.hear("ended 0"));
    }
    CHECK(house.empty());
    CHECK(machine->state() == RunState::stopped);
}

TEST_CASE("a running guest's disks are backed up at one point in time", "[qemu]") {
    if (!have_qemu()) return;
    House house;
    std::ofstream(house.root + "/a.img") << std::string(1 << 20, 'a');
    std::ofstream(house.root + "/b.img") << std::string(1 << 20, 'b');
    const auto disk = [&](const char* name, const char* target) {
        return fmt::format("<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{}/{}'/>"
                           "<target dev='{}' bus='virtio'/></disk>",
                           house.root, name, target);
    };
    const auto machine = house.launch(house.domain(disk("a.img", "vda") + disk("b.img", "vdb")));
    CHECK(house.finish(machine->block_stats()).size() == 2);
    CHECK(house.finish(machine->block_info("vda")).capacity == 1 << 20);
    house.sink.conclude = [&](const std::string& disk) {
        const auto end = [](std::shared_ptr<Machine> owner, std::string name) -> Task<> {
            co_await owner->block_jobs()->conclude(name, [](BlockJobEnd) -> Task<> { co_return; });
        };
        rpc::spawn(house.io.get_executor(), "conclude", end(machine, disk));
    };
    BackupPlan plan;
    auto& targets = plan.targets;
    targets = {{"vda", house.root + "/a.raw", "raw", false, false, "", "", ""},
               {"vdb", house.root + "/b.qcow2", "qcow2", false, false, "", "", ""}};
    SECTION("all goes well") {
        house.finish(machine->backup_begin(plan));
        CHECK(house.hear("job done"));
        std::ifstream copy(house.root + "/a.raw");
        CHECK(std::string(std::istreambuf_iterator<char>(copy), {}) == std::string(1 << 20, 'a'));
        CHECK_FALSE(house.finish(machine->job()).active);
        house.sink.told.clear();
        targets[0].path = house.root + "/again.raw";
        targets.pop_back();
        house.finish(machine->backup_begin(plan)); // nothing of the first is in the way
        CHECK(house.hear("job done"));
    }
    SECTION("a file in the way") {
        std::ofstream(house.root + "/b.qcow2") << "mine";
        CHECK_THROWS_WITH(house.finish(machine->backup_begin(plan)), Catch::Contains("for backup of 'vdb' exists"));
        CHECK_FALSE(fs::exists(house.root + "/a.raw"));
        CHECK(fs::file_size(house.root + "/b.qcow2") == 4);
        CHECK_FALSE(house.finish(machine->job()).active);
    }
    house.finish(machine->destroy(false, EndReason::destroyed));
}

TEST_CASE("a start that QEMU refuses carries its words and leaves nothing", "[qemu]") {
    if (!have_qemu()) return;
    House house;
    auto document = house.domain("", "<kernel>/nowhere/vmlinuz</kernel>");
    CHECK(house.refused(document).find("could not open kernel file '/nowhere/vmlinuz'") != std::string::npos);
    CHECK(house.empty());
    CHECK(house.sink.told.empty());
}

TEST_CASE("emulators that die or hang are an error in time", "[qemu]") {
    if (!have_qemu()) return;
    House house;
    auto document = house.domain();
    // Known to the cache as a good one, so that only the start itself meets it.
    const auto known = house.finish(house.world->emulators->get("/usr/bin/qemu-system-x86_64"));
    house.world->settings.start_timeout_s = 1;
    SECTION("dies") {
        document->devices.emulator =
            house.script("case \"$*\" in *machine,none*|*none,accel*) exec /usr/bin/qemu-system-x86_64 \"$@\";; "
                         "esac; echo oh no >&2; exit 3");
        CHECK(house.refused(document) == "internal error: process exited while connecting to monitor: oh no");
    }
    SECTION("dies without a word") {
        document->devices.emulator =
            house.script("case \"$*\" in *none,accel*) exec /usr/bin/qemu-system-x86_64 \"$@\";; esac; exit 3");
        CHECK(house.refused(document) == "internal error: process exited while connecting to monitor: exit status 3");
    }
    SECTION("hangs before its greeting") {
        document->devices.emulator =
            house.script("case \"$*\" in *none,accel*) exec /usr/bin/qemu-system-x86_64 \"$@\";; esac; exec sleep 100");
        CHECK(house.refused(document).find("QEMU did not answer 'greeting' within 1 s") != std::string::npos);
    }
    CHECK(house.empty());
}
