// Blocking work that goes on beside the control thread's own.
#pragma once
#include "rpc/task.hpp"

namespace lodge::rpc {

// Begins `work` on the worker pool at once. It must own what it touches: who started it may end before it does.
class StartedWork {
  public:
    StartedWork(Executor executor, std::function<void()> work);
    // Waits for its end, one task at most; an exception of `work` is rethrown here.
    Task<> end();

  private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace lodge::rpc
