// What clients are told of a background job that has ended, by event and when they ask.
#pragma once
#include "daemon/domain.hpp"

namespace lodge::daemon {

std::vector<rpc::TypedParam> finished_params(const JobRecord& job);

} // namespace lodge::daemon
