// Who wants to hear of what. Callback ids count up daemon-wide, as clients of libvirt expect. A message is encoded once per
// subscriber straight into its output; a subscriber that does not read is dropped by its session, never waited for.
#pragma once
#include "daemon/client.hpp"
#include "rpc/uuid.hpp"
#include <optional>
#include <vector>

namespace lodge::daemon {

enum class EventKind { domain, network, storage_pool, node_device, secret, monitor };

struct Subscription {
    int id = 0;
    Client* client = nullptr;
    EventKind kind = EventKind::domain;
    int event = 0;                   // VIR_DOMAIN_EVENT_ID_* and its like
    const void* scope = nullptr;     // the hypervisor whose objects count; null: the host's (networks)
    std::optional<rpc::Uuid> object; // only this one
    bool legacy = false;             // registered by the old calls: messages without a callback id
    std::string pattern;             // monitor events: name wanted; empty: all
    unsigned flags = 0;
};

class EventHub {
  public:
    int add(Subscription subscription); // returns its callback id
    // Throws Code::invalid_arg when that client holds no such registration.
    void remove(const Client& client, EventKind kind, int id);
    // The same in the words of a kind of objects ("network"), as the newer calls refuse.
    void remove_known(const Client& client, EventKind kind, int id, const char* what);
    // Legacy registrations are known by event, not by id.
    void remove_legacy(const Client& client, EventKind kind, int event);
    bool has_legacy(const Client& client, EventKind kind, int event) const;
    void drop_client(const Client& client);
    // Lets a producer skip the work when nobody listens.
    bool wanted(EventKind kind, int event) const;

    // Message is CallbackCall's struct, whose callbackID is filled in here. LegacyCall: what subscribers of the old calls get, if
    // any.
    template<class CallbackCall, class LegacyCall = void>
    void emit(EventKind kind, int event, const void* scope, const rpc::Uuid& object, typename CallbackCall::Args message) {
        for (const auto& target : targets(kind, event, scope, object)) {
            const ClientPtr client = target.client.lock();
            if (!client) continue;
            if (!target.legacy) {
                message.callbackID = target.id;
                client->send_event(CallbackCall::program, CallbackCall::number, message);
            } else if constexpr (!std::is_void_v<LegacyCall>) {
                client->send_event(LegacyCall::program, LegacyCall::number, message.msg);
            }
        }
    }
    const std::vector<Subscription>& all() const { return subscriptions_; }

  private:
    // Sending may close a client and so change the list: whom to tell is settled first.
    struct Target {
        std::weak_ptr<Client> client;
        int id;
        bool legacy;
    };
    std::vector<Target> targets(EventKind kind, int event, const void* scope, const rpc::Uuid& object) const;

    std::vector<Subscription> subscriptions_;
    int last_id_ = 0;
};

} // namespace lodge::daemon
