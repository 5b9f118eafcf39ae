#include "daemon/events.hpp"
#include "rpc/error.hpp"
#include <algorithm>

namespace lodge::daemon {

int EventHub::add(Subscription subscription) {
    subscription.id = ++last_id_;
    subscriptions_.push_back(std::move(subscription));
    return last_id_;
}

void EventHub::remove(const Client& client, EventKind kind, int id) {
    const auto count = std::erase_if(
        subscriptions_, [&](const Subscription& s) { return s.client == &client && s.kind == kind && s.id == id && !s.legacy; });
    if (count == 0) rpc::fail(From::rpc, Code::invalid_arg, "callback {} not registered", id);
}

void EventHub::remove_known(const Client& client, EventKind kind, int id, const char* what) {
    const auto count =
        std::erase_if(subscriptions_, [&](const Subscription& s) { return s.client == &client && s.kind == kind && s.id == id; });
    if (count == 0) rpc::fail(From::rpc, Code::internal_error, "{} event callback {} not registered", what, id);
}

void EventHub::remove_legacy(const Client& client, EventKind kind, int event) {
    const auto count = std::erase_if(subscriptions_, [&](const Subscription& s) {
        return s.client == &client && s.kind == kind && s.event == event && s.legacy;
    });
    if (count == 0) rpc::fail(From::rpc, Code::internal_error, "domain event {} not registered", event);
}

bool EventHub::has_legacy(const Client& client, EventKind kind, int event) const {
    return std::ranges::any_of(subscriptions_, [&](const Subscription& s) {
        return s.client == &client && s.kind == kind && s.event == event && s.legacy;
    });
}

void EventHub::drop_client(const Client& client) {
    std::erase_if(subscriptions_, [&](const Subscription& s) { return s.client == &client; });
}

bool EventHub::wanted(EventKind kind, int event) const {
    return std::ranges::any_of(subscriptions_, [&](const Subscription& s) { return s.kind == kind && s.event == event; });
}

std::vector<EventHub::Target> EventHub::targets(EventKind kind, int event, const void* scope, const rpc::Uuid& object) const {
    std::vector<Target> out;
    for (const auto& s : subscriptions_)
        if (s.kind == kind && s.event == event && s.scope == scope && (!s.object || *s.object == object))
            out.push_back({s.client->weak_from_this(), s.id, s.legacy});
    return out;
}

} // namespace lodge::daemon
