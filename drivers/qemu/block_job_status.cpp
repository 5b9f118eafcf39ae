// Block jobs outlive the daemon: what the status file keeps of them, and what a later daemon makes of that and of QEMU's own
// list.
#include "drivers/qemu/block_jobs.hpp"
#include "drivers/qemu/image_nodes.hpp"
#include "drivers/qemu/machine.hpp"
#include <spdlog/spdlog.h>

namespace lodge::drivers::qemu {

json QemuBlockJobs::status() const {
    json all = json::array();
    for (const auto& [disk, entry] : jobs_) {
        const auto& job = entry.data;
        json one = {{"name", job.job.name},
                    {"disk", disk},
                    {"kind", static_cast<int>(job.job.kind)},
                    {"state", static_cast<int>(job.job.state)},
                    {"delete", job.delete_images},
                    {"shallow", job.shallow},
                    {"reuse", job.reuse},
                    {"own_chain", job.own_chain},
                    {"made", job.made},
                    {"nodes", job.nodes},
                    {"bitmap", job.bitmap}};
        if (job.top) one["top"] = *job.top;
        if (job.base) one["base"] = *job.base;
        all.push_back(std::move(one));
    }
    return all;
}

void QemuBlockJobs::take_status(const json& kept) {
    for (const auto& one : kept) {
        QemuBlockJob job;
        job.job = {one.at("name"), one.at("disk"), static_cast<BlockJobKind>(one.at("kind").get<int>()),
                   static_cast<BlockJobState>(one.at("state").get<int>())};
        if (one.contains("top")) job.top = one["top"].get<std::uint32_t>();
        if (one.contains("base")) job.base = one["base"].get<std::uint32_t>();
        job.delete_images = one.value("delete", false);
        job.shallow = one.value("shallow", false);
        job.reuse = one.value("reuse", false);
        job.own_chain = one.value("own_chain", false);
        job.made = one.value("made", "");
        job.nodes = one.value("nodes", job.nodes);
        job.bitmap = one.value("bitmap", "");
        enter(std::move(job));
    }
}

void QemuBlockJobs::resync(const json& query_jobs) {
    std::vector<std::string> lost;
    for (auto& [disk, entry] : jobs_) {
        auto& job = entry.data;
        const auto found = std::ranges::find_if(query_jobs, [&](const json& one) { return one.value("id", "") == job.job.name; });
        if (found == query_jobs.end()) {
            lost.push_back(disk);
            continue;
        }
        const std::string status = found->value("status", "");
        if (job.job.state == BlockJobState::starting) job.job.state = BlockJobState::running;
        job.over = status == "concluded";
        if (status == "ready" && job.job.state == BlockJobState::running) job.job.state = BlockJobState::ready;
    }
    for (const auto& disk : lost) {
        const auto job = jobs_.at(disk).data;
        spdlog::warn("{}: QEMU knows nothing of the block job '{}'", machine_.domain().name, job.job.name);
        rpc::spawn(machine_.executor(), job.job.name, abandon_copy(job));
        jobs_.erase(disk);
    }
}

// Not before the daemon has hold of the machine.
Task<> QemuBlockJobs::report_what_happened(std::shared_ptr<QemuMachine> machine) {
    auto& jobs = machine->block_jobs()->jobs_;
    std::vector<std::string> ready, over;
    for (const auto& [disk, entry] : jobs) {
        const auto* live = find_disk(machine->domain(), disk);
        const bool shown = !live || !live->mirror || live->mirror->ready == "yes";
        if (entry.data.job.state == BlockJobState::ready && !shown) ready.push_back(disk);
        if (entry.data.over) over.push_back(disk);
    }
    for (const auto& disk : ready) {
        find_disk(machine->domain(), disk)->mirror->ready = "yes";
        machine->report(event::BlockJobReady{disk});
    }
    for (const auto& disk : over) machine->report(event::BlockJobOver{disk});
    co_return;
}

} // namespace lodge::drivers::qemu
