#include "cli/backup/push_job.hpp"

#include "cli/event_loop.hpp"

#include <bit>
#include <optional>
#include <thread>

namespace lodge::cli {

namespace {

using Clock = std::chrono::steady_clock;

struct JobStats {
    int type = VIR_DOMAIN_JOB_NONE;
    int operation = VIR_DOMAIN_JOB_OPERATION_UNKNOWN;
    unsigned long long done = 0, total = 0;
    std::optional<bool> success;
    std::string message;
};

JobStats stats_of(virTypedParameterPtr list, int count, int type) {
    JobStats out;
    out.type = type;
    int flag = 0;
    const char* message = nullptr;
    virTypedParamsGetInt(list, count, VIR_DOMAIN_JOB_OPERATION, &out.operation);
    virTypedParamsGetULLong(list, count, VIR_DOMAIN_JOB_DISK_PROCESSED, &out.done);
    virTypedParamsGetULLong(list, count, VIR_DOMAIN_JOB_DISK_TOTAL, &out.total);
    if (virTypedParamsGetBoolean(list, count, VIR_DOMAIN_JOB_SUCCESS, &flag) == 1) out.success = flag != 0;
    if (virTypedParamsGetString(list, count, VIR_DOMAIN_JOB_ERRMSG, &message) == 1) out.message = message;
    return out;
}

std::optional<JobStats> ask_stats(virDomainPtr domain, unsigned flags) {
    int type = VIR_DOMAIN_JOB_NONE, count = 0;
    virTypedParameterPtr list = nullptr;
    if (virDomainGetJobStats(domain, &type, &list, &count, flags) < 0) {
        forget_cause();
        return {};
    }
    auto out = stats_of(list, count, type);
    virTypedParamsFree(list, count);
    return out;
}

} // namespace

struct PushJob::State {
    Waiter waiter;
    std::optional<JobStats> end;
};

PushJob::PushJob(virConnectPtr connection, virDomainPtr domain, const std::string& document)
    : connection_(connection)
    , domain_(domain)
    , state_(std::make_shared<State>()) {
    // shared with the registration: an event may still be on its way when this object goes
    auto on_end = +[](virConnectPtr, virDomainPtr, virTypedParameterPtr list, int count, void* opaque) {
        auto& state = **static_cast<std::shared_ptr<State>*>(opaque);
        auto stats = stats_of(list, count, VIR_DOMAIN_JOB_COMPLETED);
        if (stats.operation != VIR_DOMAIN_JOB_OPERATION_BACKUP && stats.operation != VIR_DOMAIN_JOB_OPERATION_UNKNOWN) return;
        std::lock_guard lock(state.waiter.mutex);
        state.end = stats;
        state.waiter.wake();
    };
    auto forget = [](void* opaque) { delete static_cast<std::shared_ptr<State>*>(opaque); };
    callback_ = virConnectDomainEventRegisterAny(connection, domain, VIR_DOMAIN_EVENT_ID_JOB_COMPLETED,
                                                 std::bit_cast<virConnectDomainEventGenericCallback>(on_end),
                                                 new std::shared_ptr<State>(state_), forget);
    check(callback_, "{}", "cannot watch the backup job");
    if (virDomainBackupBegin(domain, document.c_str(), nullptr, 0) < 0) {
        auto reason = cause(); // the next call would hide it
        virConnectDomainEventDeregisterAny(connection_, callback_);
        fail("Failed to begin the backup job: {}", reason);
    }
    running_ = true;
}

PushJob::~PushJob() {
    if (running_) abort();
    if (callback_ >= 0) virConnectDomainEventDeregisterAny(connection_, callback_);
}

void PushJob::abort() {
    using namespace std::chrono_literals;
    running_ = false;
    if (virDomainAbortJob(domain_) < 0) forget_cause();
    auto until = Clock::now() + 20s;
    while (Clock::now() < until) {
        {
            std::unique_lock lock(state_->waiter.mutex);
            if (state_->end) return;
        }
        auto stats = ask_stats(domain_, 0);
        if (!stats || stats->type == VIR_DOMAIN_JOB_NONE) return; // no job, or no guest any more
        std::this_thread::sleep_for(50ms);
    }
}

// Without an event (a daemon may have been restarted): the job is over when the daemon knows of none.
bool PushJob::over() {
    auto stats = ask_stats(domain_, 0);
    if (stats && stats->type != VIR_DOMAIN_JOB_NONE) return false;
    auto completed = ask_stats(domain_, VIR_DOMAIN_JOB_STATS_COMPLETED | VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED);
    std::lock_guard lock(state_->waiter.mutex);
    if (state_->end) return true;
    state_->end = completed.value_or(JobStats{});
    if (state_->end->operation != VIR_DOMAIN_JOB_OPERATION_BACKUP) {
        state_->end->success = false;
        state_->end->message = "the guest or its backup job ended unexpectedly";
    } else if (!state_->end->success) {
        state_->end->success = state_->end->type == VIR_DOMAIN_JOB_COMPLETED;
    }
    return true;
}

void PushJob::wait(const Progress& progress) {
    using namespace std::chrono_literals;
    int quiet_looks = 0; // the event may be a moment behind the end of the job
    for (;;) {
        bool ended = state_->waiter.wait(Clock::now() + 250ms, [&] { return state_->end.has_value(); });
        if (ended) break;
        stop_if_interrupted();
        auto stats = ask_stats(domain_, 0);
        bool idle = !stats || stats->type == VIR_DOMAIN_JOB_NONE;
        if (idle && ++quiet_looks >= 8 && over()) break;
        if (idle) continue;
        quiet_looks = 0;
        if (progress) progress(stats->done, stats->total);
    }
    running_ = false;
    for (int i = 0; i < 200; i++) { // the daemon tells of the end a moment before it has put the job away
        auto stats = ask_stats(domain_, 0);
        if (!stats || stats->type == VIR_DOMAIN_JOB_NONE) break;
        std::this_thread::sleep_for(10ms);
    }
    const auto& end = *state_->end;
    if (end.success.value_or(false)) return; // a daemon that does not say so has not done it
    fail("the backup job failed{}", end.message.empty() ? std::string() : ": " + end.message);
}

} // namespace lodge::cli
