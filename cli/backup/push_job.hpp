// A backup job of the running guest: begun, watched, and ended in any case.
#pragma once
#include "cli/backup/files.hpp"
#include "cli/handles.hpp"

#include <memory>

namespace lodge::cli {

class PushJob {
  public:
    // Listens for the end before the job begins. At begin all disks are frozen in time together.
    PushJob(virConnectPtr connection, virDomainPtr domain, const std::string& document);
    ~PushJob(); // aborts a job that still runs, so that nothing writes into files that are about to go
    PushJob(const PushJob&) = delete;
    PushJob& operator=(const PushJob&) = delete;

    // Until the end of the job; throws its reason when it failed, or when ^C aborted it.
    void wait(const Progress& progress);

  private:
    struct State;
    void abort();
    bool over();

    virConnectPtr connection_;
    virDomainPtr domain_;
    std::shared_ptr<State> state_;
    int callback_ = -1;
    bool running_ = false;
};

} // namespace lodge::cli
