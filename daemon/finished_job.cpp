#include "daemon/finished_job.hpp"
#include <algorithm>

namespace lodge::daemon {

// libvirt's order: programs print the parameters as they come.
static constexpr const char* order[] = {
    api::domain_job_time_elapsed,         api::domain_job_downtime,          api::domain_job_setup_time,
    api::domain_job_data_total,           api::domain_job_data_processed,    api::domain_job_data_remaining,
    api::domain_job_memory_total,         api::domain_job_memory_processed,  api::domain_job_memory_remaining,
    api::domain_job_memory_bps,           api::domain_job_memory_constant,   api::domain_job_memory_normal,
    api::domain_job_memory_normal_bytes,  api::domain_job_memory_dirty_rate, api::domain_job_memory_iteration,
    api::domain_job_memory_postcopy_reqs, api::domain_job_memory_page_size,  api::domain_job_disk_total,
    api::domain_job_disk_processed,       api::domain_job_disk_remaining,    api::domain_job_disk_temp_used,
    api::domain_job_disk_temp_total};

std::vector<rpc::TypedParam> finished_params(const JobRecord& job) {
    std::vector<rpc::TypedParam> params{{api::domain_job_operation, job.operation}};
    for (const char* name : order)
        if (const auto figure = job.figures.find(name); figure != job.figures.end()) params.push_back({name, figure->second});
    for (const auto& [name, value] : job.figures)
        if (std::ranges::find(order, name, [](const char* known) { return std::string_view(known); }) == std::end(order))
            params.push_back({name, value});
    // Of a save or dump, being told of it says that it succeeded.
    if (job.operation != static_cast<int>(api::domain_job_operation_backup)) return params;
    params.push_back({api::domain_job_success, job.success});
    if (!job.error.empty()) params.push_back({api::domain_job_errmsg, job.error});
    return params;
}

} // namespace lodge::daemon
