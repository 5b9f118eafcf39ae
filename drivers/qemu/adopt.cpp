// Finding a guest again that an earlier daemon started: by pid and start time, then over its monitor socket.
#include "drivers/qemu/answers.hpp"
#include "drivers/qemu/launch.hpp"
#include "drivers/qemu/libvirt_status.hpp"
#include "drivers/qemu/machine.hpp"
#include "rpc/log.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::drivers::qemu {

namespace {

struct Kept {
    pid_t pid = 0;
    std::uint64_t start_time = 0;
    Runtime runtime;
    RunState state = RunState::running;
    json all;
};

Kept read_status(const World& world, const AdoptRequest& request) {
    Kept kept;
    kept.all =
        is_libvirt_status(request.status) ? from_libvirt_status(world, request) : json::parse(request.status, nullptr, false);
    try {
        kept.pid = kept.all.at("pid").get<pid_t>();
        kept.start_time = kept.all.at("start_time").get<std::uint64_t>();
        kept.runtime = kept.all.at("runtime").get<Runtime>();
        kept.state = static_cast<RunState>(kept.all.value("state", 0));
    } catch (const json::exception& error) {
        rpc::fail(Code::internal_error, "the status of the machine cannot be read: {}", error.what());
    }
    return kept;
}

RunState state_of(const std::string& run_state, RunState before) {
    if (run_state == "running") return RunState::running;
    if (run_state == "suspended") return before; // asleep: the guest's own doing
    return RunState::paused;
}

// What QEMU says about itself; empty when it does not answer in time.
Task<std::string> resync(std::shared_ptr<QemuMachine> machine) {
    Qmp& qmp = machine->qmp();
    auto status = qmp.send("query-status");
    auto chardevs = qmp.send("query-chardev");
    auto cpus = qmp.send("query-cpus-fast");
    auto peripheral = qmp.send("qom-list", {{"path", "/machine/peripheral"}});
    auto jobs = qmp.send("query-jobs");
    auto memories = qmp.send("query-memory-devices");
    auto balloon = qmp.send("query-balloon");
    co_await qmp.greeting(5s);
    machine->take_ptys(co_await chardevs.result(5s));
    machine->take_vcpus(co_await cpus.result(5s));
    co_await QemuMachine::reconcile(machine, co_await peripheral.result(5s));
    take_memory_devices(machine->domain(), co_await memories.result(5s));
    const json size = co_await balloon.reply(5s); // an error where there is none
    if (const auto bytes = size.value("return", json::object()).value("actual", std::uint64_t{0}); bytes > 0)
        machine->domain().current_memory = xml::Kibibytes{bytes / 1024};
    machine->block_jobs()->resync(co_await jobs.result(5s));
    co_return (co_await status.result(5s)).value("status", "");
}

Task<> catch_up_later(std::shared_ptr<QemuMachine> machine, std::string run_state) {
    // Not before the daemon has hold of the machine.
    co_await rpc::sleep_for(0ns);
    machine->catch_up(run_state);
    co_await QemuBlockJobs::report_what_happened(machine);
}

} // namespace

Task<std::shared_ptr<Machine>> adopt_machine(std::shared_ptr<const World> world, AdoptRequest request) {
    Kept kept = read_status(*world, request);
    const auto process = Process::adopt(world->executor, kept.pid, kept.start_time);
    if (!process) {
        std::string tail;
        co_await rpc::blocking([&] {
            tail = log_tail(kept.runtime, 1024);
            remove_runtime(kept.runtime);
        });
        rpc::fail(Code::operation_failed, "the guest ended while no daemon was running{}{}", tail.empty() ? "" : ": ", tail);
    }
    world->displays->take(kept.runtime.ports);
    MachineParts parts{world,      world->executor, request.domain,
                       request.id, request.sink,    world->displays,
                       process,    kept.runtime,    image_formats(world->settings)};
    const auto machine = std::make_shared<QemuMachine>(std::move(parts));
    machine->take_status(kept.all);
    std::string run_state;
    try {
        machine->open_monitor(connect_qmp(kept.runtime.monitor_path()));
        run_state = co_await resync(machine);
    } catch (const rpc::Error& error) {
        // It runs, so it is kept: it can still be destroyed, and a later daemon may find it in better health.
        log::error("{}: runs, but its monitor does not answer: {}", request.domain->name, error.what());
        machine->no_monitor(error.what());
    }
    try {
        machine->begin_counting();
    } catch (const rpc::Error& error) {
        log::warn("{}: {}", request.domain->name, error.message());
    }
    machine->limit_logs();
    machine->supervise(run_state.empty() ? kept.state : state_of(run_state, kept.state));
    rpc::spawn(world->executor, request.domain->name + ": catching up", catch_up_later(machine, run_state));
    co_return machine;
}

} // namespace lodge::drivers::qemu
