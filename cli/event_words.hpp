// Domain events as virsh words them: a row per kind, and the callback that turns its arguments into lines.
#pragma once
#include <functional>
#include <libvirt/libvirt.h>
#include <span>
#include <string>
#include <string_view>

namespace lodge::cli {

// "event 'lifecycle' for domain 'x': Started Booted" comes as name lifecycle, detail ": Started Booted".
struct EventText {
    std::string_view name;
    std::string domain;
    std::string detail; // with what joins it to the headline
};

struct EventSink {
    std::string_view name; // of the kind; block-job and block-job-2 share a callback
    std::function<void(const EventText&)> tell;
};

struct EventKind {
    std::string_view name;
    int id;
    virConnectDomainEventGenericCallback callback; // its opaque argument is an EventSink
};

std::span<const EventKind> event_kinds();

} // namespace lodge::cli
