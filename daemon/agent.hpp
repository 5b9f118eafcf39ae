// Talking to a guest's agent: one command at a time, each answered or refused in libvirt's words. Who has several questions keeps
// the session, and nobody else's come between.
#pragma once
#include "daemon/domain.hpp"
#include <nlohmann/json.hpp>

namespace lodge::daemon {

class AgentSession {
  public:
    // Waits for those that talk to it now. `api` is the call as users know it. Throws when the guest does not run.
    static Task<AgentSession> open(DomainPtr domain, std::string api);

    // The answer's "return". An agent that refuses is Code::internal_error, one that does not answer Code::agent_unresponsive.
    Task<nlohmann::json> ask(std::string command, nlohmann::json arguments = nullptr);
    // Absent: this agent does not know the command, or must not run it.
    Task<std::optional<nlohmann::json>> ask_if_known(std::string command, nlohmann::json arguments = nullptr);

  private:
    AgentSession(DomainPtr domain, JobQueue::Job job)
        : domain_(std::move(domain))
        , job_(std::move(job)) {}
    Task<nlohmann::json> reply(std::string command, nlohmann::json arguments);

    DomainPtr domain_;
    JobQueue::Job job_;
};

// A session for one question.
Task<nlohmann::json> ask_agent(DomainPtr domain, std::string api, std::string command, nlohmann::json arguments = nullptr);

} // namespace lodge::daemon
