// Block jobs outlive the daemon: what the status file keeps of them, and what a later daemon makes of that and of QEMU's own
// list.
#include "drivers/qemu/block_jobs.hpp"
#include "drivers/qemu/image_nodes.hpp"
#include "drivers/qemu/machine.hpp"
#include "rpc/log.hpp"

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
                    {"pivots", job.pivots},
                    {"shallow", job.shallow},
                    {"reuse", job.reuse},
                    {"own_chain", job.own_chain},
                    {"made", job.made},
                    {"nodes", job.nodes},
                    {"bitmap", job.bitmap}};
        if (job.leftover)
            one["leftover"] = {{"status", static_cast<int>(job.leftover->status)},
                               {"commands", job.leftover->commands},
                               {"files", job.leftover->files}};
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
        job.pivots = one.value("pivots", false);
        job.shallow = one.value("shallow", false);
        job.reuse = one.value("reuse", false);
        job.own_chain = one.value("own_chain", false);
        job.made = one.value("made", "");
        job.nodes = one.value("nodes", job.nodes);
        job.bitmap = one.value("bitmap", "");
        if (const auto left = one.find("leftover"); left != one.end())
            job.leftover = {static_cast<BlockJobStatus>(left->at("status").get<int>()), left->at("commands"), left->at("files")};
        enter(std::move(job));
    }
}

void QemuBlockJobs::resync(const json& query_jobs) {
    std::vector<std::string> lost;
    for (auto& [disk, entry] : jobs_) {
        auto& job = entry.data;
        if (job.leftover) {
            job.over = true; // QEMU may have forgotten it already
            continue;
        }
        const auto found = std::ranges::find_if(query_jobs, [&](const json& one) { return one.value("id", "") == job.job.name; });
        if (found == query_jobs.end() && job.job.kind == BlockJobKind::pull) {
            job.over = job.lost = true;
            continue;
        }
        if (found == query_jobs.end()) {
            lost.push_back(disk);
            continue;
        }
        const std::string status = found->value("status", "");
        if (job.job.state == BlockJobState::starting) job.job.state = BlockJobState::running;
        job.over = status == "concluded";
        // One that pivots by itself may have been told to or not: then it is told again, which does no harm.
        const bool waits = job.job.state == BlockJobState::running || (job.pivots && job.job.state == BlockJobState::pivoting);
        if (status == "ready" && waits) job.job.state = BlockJobState::ready;
    }
    for (const auto& disk : lost) {
        const auto job = jobs_.at(disk).data;
        log::warn("{}: QEMU knows nothing of the block job '{}'", machine_.domain().name, job.job.name);
        rpc::spawn(machine_.executor(), job.job.name, take_back(job));
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
        if (entry.data.job.state == BlockJobState::ready && (!shown || entry.data.pivots)) ready.push_back(disk);
        if (entry.data.over) over.push_back(disk);
    }
    for (const auto& disk : ready)
        if (const auto entry = jobs.find(disk); entry != jobs.end())
            machine->block_jobs()->report_ready(QemuBlockJob(entry->second.data));
    for (const auto& disk : over) machine->report(event::BlockJobOver{disk});
    co_return;
}

} // namespace lodge::drivers::qemu
