#include "cli/event_words.hpp"

#include "cli/handles.hpp"
#include "cli/words.hpp"

#include <bit>
#include <fmt/format.h>

namespace lodge::cli {

namespace {

template<class... Args> void tell(virDomainPtr domain, void* opaque, fmt::format_string<Args...> detail, Args&&... args) {
    const auto& sink = *static_cast<EventSink*>(opaque);
    sink.tell({sink.name, virDomainGetName(domain), fmt::format(detail, std::forward<Args>(args)...)});
}

std::string_view or_empty(const char* text) { return text ? std::string_view(text) : std::string_view(); }

std::string parameters(virTypedParameterPtr list, int count) {
    std::string out;
    for (int i = 0; i < count; i++) {
        const auto& p = list[i];
        std::string value;
        switch (p.type) {
        case VIR_TYPED_PARAM_INT: value = std::to_string(p.value.i); break;
        case VIR_TYPED_PARAM_UINT: value = std::to_string(p.value.ui); break;
        case VIR_TYPED_PARAM_LLONG: value = std::to_string(p.value.l); break;
        case VIR_TYPED_PARAM_ULLONG: value = std::to_string(p.value.ul); break;
        case VIR_TYPED_PARAM_DOUBLE: value = fmt::format("{:f}", p.value.d); break;
        case VIR_TYPED_PARAM_BOOLEAN: value = yes_no(p.value.b); break;
        case VIR_TYPED_PARAM_STRING: value = or_empty(p.value.s); break;
        default: value = "unsupported value"; break;
        }
        out += fmt::format("\n\t{}: {}", p.field, value);
    }
    return out;
}

using Word = std::string_view;
constexpr Word watchdog_words[] = {"none", "pause", "reset", "poweroff", "shutdown", "debug", "inject-nmi"};
constexpr Word io_error_words[] = {"none", "pause", "report"};
constexpr Word phase_words[] = {"connect", "initialize", "disconnect"};
constexpr Word family_words[] = {"IPv4", "IPv6", "unix"};
constexpr Word job_words[] = {"Unknown job", "Block Pull", "Block Copy", "Block Commit", "Active Block Commit", "Backup"};
constexpr Word job_status_words[] = {"completed", "failed", "canceled", "ready"};
constexpr Word disk_words[] = {"changed", "dropped"};
constexpr Word tray_words[] = {"opened", "closed"};
constexpr Word agent_state_words[] = {"unknown", "connected", "disconnected"};
constexpr Word agent_reason_words[] = {"unknown", "domain started", "channel event"};
constexpr Word metadata_words[] = {"description", "title", "element"};
constexpr Word recipient_words[] = {"hypervisor", "guest"};
constexpr Word failure_words[] = {"ignore", "inject", "fatal", "reset"};

int lifecycle(virConnectPtr, virDomainPtr domain, int event, int detail, void* opaque) {
    tell(domain, opaque, ": {} {}", lifecycle_event(event), lifecycle_detail(event, detail));
    return 0;
}
void plain(virConnectPtr, virDomainPtr domain, void* opaque) { tell(domain, opaque, "{}", ""); }
void power(virConnectPtr, virDomainPtr domain, int, void* opaque) { tell(domain, opaque, "{}", ""); }
void rtc_change(virConnectPtr, virDomainPtr domain, long long offset, void* opaque) { tell(domain, opaque, ": {}", offset); }
void watchdog(virConnectPtr, virDomainPtr domain, int action, void* opaque) {
    tell(domain, opaque, ": {}", word_at(watchdog_words, action));
}
void io_error(virConnectPtr, virDomainPtr domain, const char* path, const char* alias, int action, void* opaque) {
    tell(domain, opaque, ": {} ({}) {}", or_empty(path), or_empty(alias), word_at(io_error_words, action));
}
void io_error_reason(virConnectPtr, virDomainPtr domain, const char* path, const char* alias, int action, const char* reason,
                     void* opaque) {
    tell(domain, opaque, ": {} ({}) {} due to {}", or_empty(path), or_empty(alias), word_at(io_error_words, action),
         or_empty(reason));
}
void graphics(virConnectPtr, virDomainPtr domain, int phase, const virDomainEventGraphicsAddress* local,
              const virDomainEventGraphicsAddress* remote, const char* scheme, const virDomainEventGraphicsSubject* subject,
              void* opaque) {
    auto address = [](const virDomainEventGraphicsAddress& a) {
        return fmt::format("[{} {} {}]", word_at(family_words, a.family), or_empty(a.node), or_empty(a.service));
    };
    std::string who;
    for (int i = 0; subject && i < subject->nidentity; i++)
        who += fmt::format("\n\t{}={}", or_empty(subject->identities[i].type), or_empty(subject->identities[i].name));
    tell(domain, opaque, ": {} local{} remote{} {}{}", word_at(phase_words, phase), address(*local), address(*remote),
         or_empty(scheme), who);
}
void block_job(virConnectPtr, virDomainPtr domain, const char* disk, int type, int status, void* opaque) {
    tell(domain, opaque, ": {} for {} {}", word_at(job_words, type), or_empty(disk), word_at(job_status_words, status));
}
void disk_change(virConnectPtr, virDomainPtr domain, const char* old_path, const char* new_path, const char* alias, int reason,
                 void* opaque) {
    tell(domain, opaque, " disk {}: {} -> {}: {}", or_empty(alias), or_empty(old_path), or_empty(new_path),
         word_at(disk_words, reason));
}
void tray_change(virConnectPtr, virDomainPtr domain, const char* alias, int reason, void* opaque) {
    tell(domain, opaque, " disk {}: {}", or_empty(alias), word_at(tray_words, reason));
}
void balloon_change(virConnectPtr, virDomainPtr domain, unsigned long long actual, void* opaque) {
    tell(domain, opaque, ": {}KiB", actual);
}
void device(virConnectPtr, virDomainPtr domain, const char* alias, void* opaque) {
    tell(domain, opaque, ": {}", or_empty(alias));
}
void tunable(virConnectPtr, virDomainPtr domain, virTypedParameterPtr list, int count, void* opaque) {
    tell(domain, opaque, ":{}", parameters(list, count));
}
void agent_lifecycle(virConnectPtr, virDomainPtr domain, int state, int reason, void* opaque) {
    tell(domain, opaque, ": state: '{}' reason: '{}'", word_at(agent_state_words, state), word_at(agent_reason_words, reason));
}
void migration_iteration(virConnectPtr, virDomainPtr domain, int iteration, void* opaque) {
    tell(domain, opaque, ": iteration: '{}'", iteration);
}
void job_completed(virConnectPtr, virDomainPtr domain, virTypedParameterPtr list, int count, void* opaque) {
    tell(domain, opaque, ":{}", parameters(list, count));
}
void metadata_change(virConnectPtr, virDomainPtr domain, int type, const char* uri, void* opaque) {
    tell(domain, opaque, ": type {}, uri {}", word_at(metadata_words, type), uri ? uri : "(null)");
}
void block_threshold(virConnectPtr, virDomainPtr domain, const char* disk, const char* path, unsigned long long threshold,
                     unsigned long long excess, void* opaque) {
    tell(domain, opaque, ": dev: {}({}) {} {}", or_empty(disk), path ? path : "(null)", threshold, excess);
}
void memory_failure(virConnectPtr, virDomainPtr domain, int recipient, int action, unsigned flags, void* opaque) {
    tell(domain, opaque, ":\nrecipient: {}\naction: {}\nflags:\n\taction required: {}\n\trecursive: {}",
         word_at(recipient_words, recipient), word_at(failure_words, action),
         (flags & VIR_DOMAIN_MEMORY_FAILURE_ACTION_REQUIRED) ? 1 : 0, (flags & VIR_DOMAIN_MEMORY_FAILURE_RECURSIVE) ? 1 : 0);
}
void memory_device_size(virConnectPtr, virDomainPtr domain, const char* alias, unsigned long long size, void* opaque) {
    tell(domain, opaque, ":\nalias: {}\nsize: {}", or_empty(alias), size);
}

template<class Callback> EventKind kind(std::string_view name, int id, Callback callback) {
    return {name, id, std::bit_cast<virConnectDomainEventGenericCallback>(callback)};
}

} // namespace

std::span<const EventKind> event_kinds() {
    static const EventKind kinds[] = {
        kind("lifecycle", VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle),
        kind("reboot", VIR_DOMAIN_EVENT_ID_REBOOT, plain),
        kind("rtc-change", VIR_DOMAIN_EVENT_ID_RTC_CHANGE, rtc_change),
        kind("watchdog", VIR_DOMAIN_EVENT_ID_WATCHDOG, watchdog),
        kind("io-error", VIR_DOMAIN_EVENT_ID_IO_ERROR, io_error),
        kind("graphics", VIR_DOMAIN_EVENT_ID_GRAPHICS, graphics),
        kind("io-error-reason", VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, io_error_reason),
        kind("control-error", VIR_DOMAIN_EVENT_ID_CONTROL_ERROR, plain),
        kind("block-job", VIR_DOMAIN_EVENT_ID_BLOCK_JOB, block_job),
        kind("disk-change", VIR_DOMAIN_EVENT_ID_DISK_CHANGE, disk_change),
        kind("tray-change", VIR_DOMAIN_EVENT_ID_TRAY_CHANGE, tray_change),
        kind("pm-wakeup", VIR_DOMAIN_EVENT_ID_PMWAKEUP, power),
        kind("pm-suspend", VIR_DOMAIN_EVENT_ID_PMSUSPEND, power),
        kind("balloon-change", VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, balloon_change),
        kind("pm-suspend-disk", VIR_DOMAIN_EVENT_ID_PMSUSPEND_DISK, power),
        kind("device-removed", VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, device),
        kind("block-job-2", VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, block_job),
        kind("tunable", VIR_DOMAIN_EVENT_ID_TUNABLE, tunable),
        kind("agent-lifecycle", VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, agent_lifecycle),
        kind("device-added", VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, device),
        kind("migration-iteration", VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, migration_iteration),
        kind("job-completed", VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, job_completed),
        kind("device-removal-failed", VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED, device),
        kind("metadata-change", VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, metadata_change),
        kind("block-threshold", VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD, block_threshold),
        kind("memory-failure", VIR_DOMAIN_EVENT_ID_MEMORY_FAILURE, memory_failure),
        kind("memory-device-size-change", VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE, memory_device_size),
    };
    return kinds;
}

} // namespace lodge::cli
