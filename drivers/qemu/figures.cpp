// Figures of one guest for statistics of many: all questions are on their way before the first answer is awaited.
#include "drivers/host/sysfs.hpp"
#include "drivers/qemu/answers.hpp"
#include "drivers/qemu/machine.hpp"
#include <unistd.h>

namespace lodge::drivers::qemu {

namespace {

using Clock = std::chrono::steady_clock;

// Answers as they come, none after the deadline.
class Answers {
  public:
    explicit Answers(std::chrono::milliseconds patience)
        : end_(Clock::now() + patience) {}

    // Absent: QEMU refused, or did not answer in time.
    Task<std::optional<json>> take(std::optional<Qmp::Pending> pending) {
        if (!pending) co_return std::nullopt;
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end_ - Clock::now());
        try {
            json reply = co_await pending->reply(std::max(left, 0ms));
            if (const auto answer = reply.find("return"); answer != reply.end()) co_return std::move(*answer);
        } catch (const rpc::Error&) {
        }
        co_return std::nullopt;
    }

  private:
    Clock::time_point end_;
};

// Where this QEMU keeps the guest's CPU of that number.
std::optional<unsigned> vcpu_at(const std::vector<std::string>& qom_paths, const std::string& path) {
    const auto at = std::ranges::find(qom_paths, path);
    if (at == qom_paths.end()) return std::nullopt;
    return static_cast<unsigned>(at - qom_paths.begin());
}

} // namespace

std::uint64_t QemuMachine::resident_kib() const {
    const std::string statm = read_small_file(fmt::format("/proc/{}/statm", pid()));
    const auto blank = statm.find(' ');
    if (blank == std::string::npos) return 0;
    return std::strtoull(statm.c_str() + blank, nullptr, 10) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) / 1024;
}

Task<Figures> QemuMachine::figures(unsigned wanted, std::chrono::milliseconds patience) {
    const auto self = shared_from_this();
    Figures out;
    const bool memory =
        (wanted & figure::memory) && parts_.domain->devices.memballoon && !parts_.domain->devices.memballoon->info.alias.empty();
    if (wanted & figure::memory) out.memory.emplace()["rss"] = resident_kib();
    // Who has been silent for that long will not speak up now, and need not hear more.
    if (qmp_->closed() || qmp_->silence() > deaf_after) co_return out;
    const auto ask_if = [&](bool asked, const char* command, json arguments = nullptr) {
        return asked ? std::optional(qmp_->send(command, std::move(arguments))) : std::nullopt;
    };
    // QEMU is woken for each question: what the document answers already is not asked.
    const auto& domain = *parts_.domain;
    const bool counts = domain.type == xml::VirtType::kvm; // only the kernel does
    if (!counts && (wanted & figure::vm)) out.vm.emplace();
    if (!counts && (wanted & figure::vcpus)) out.vcpus.emplace();
    const bool disks = (wanted & figure::disks) && !domain.devices.disks.empty();
    const bool vcpus = counts && (wanted & figure::vcpus), vm = counts && (wanted & figure::vm);
    auto balloon = memory ? ask_if(true, "qom-get",
                                   {{"path", "/machine/peripheral/" + parts_.domain->devices.memballoon->info.alias},
                                    {"property", "guest-stats"}})
                          : std::nullopt;
    auto blockstats = ask_if(disks, "query-blockstats"), nodes = ask_if(disks, "query-named-block-nodes", {{"flat", true}});
    auto iothreads = ask_if((wanted & figure::iothreads) && domain.iothreads, "query-iothreads");
    const bool rests = dirty_rate_rests_ && !may_measure_dirty_rate_;
    auto dirty_rate = ask_if((wanted & figure::dirty_rate) && !rests, "query-dirty-rate");
    auto schemas = ask_if((vm || vcpus) && kvm_schema_.empty(), "query-stats-schemas");
    auto of_vm = ask_if(vm, "query-stats", {{"target", "vm"}}), of_vcpus = ask_if(vcpus, "query-stats", {{"target", "vcpu"}});

    Answers answers(patience);
    if (const auto answer = co_await answers.take(balloon)) out.memory->merge(memory_figures(*answer));
    const auto stats = co_await answers.take(blockstats), graph = co_await answers.take(nodes);
    if (stats) out.disks = block_figures(*parts_.domain, *stats);
    if (stats && graph) out.images = image_figures(*graph, *stats);
    if (const auto answer = co_await answers.take(iothreads)) out.iothreads = iothread_figures(*answer);
    if (const auto answer = co_await answers.take(dirty_rate)) {
        out.dirty_rate = dirty_rate_figures(*answer);
        if (answer->value("status", "") == "unstarted") dirty_rate_rests_ = out.dirty_rate;
    } else if ((wanted & figure::dirty_rate) && rests) {
        out.dirty_rate = dirty_rate_rests_;
    }
    if (const auto answer = co_await answers.take(schemas)) kvm_schema_ = kvm_schema(*answer);
    if (const auto answer = co_await answers.take(of_vm); answer && answer->size() == 1)
        out.vm = kvm_figures(answer->front(), kvm_schema_);
    if (const auto answer = co_await answers.take(of_vcpus)) {
        out.vcpus.emplace();
        for (const auto& entry : *answer)
            if (const auto number = vcpu_at(vcpu_paths_, entry.value("qom-path", "")))
                (*out.vcpus)[*number] = kvm_figures(entry, kvm_schema_);
    }
    co_return out;
}

void QemuMachine::begin_counting() {
    for (const auto& event : parts_.domain->perf)
        if (event.enabled) count_events(event.name, true);
}

Task<std::map<std::string, std::string>> QemuMachine::disk_errors() {
    const auto self = shared_from_this();
    co_return qemu::disk_errors(*parts_.domain, co_await ask("query-block"));
}

Task<> QemuMachine::start_dirty_rate(unsigned seconds, std::string mode) {
    const auto self = shared_from_this();
    may_measure_dirty_rate_ = true;
    co_await ask("calc-dirty-rate", {{"calc-time", seconds}, {"mode", std::move(mode)}});
}

} // namespace lodge::drivers::qemu
