#include "daemon/idle.hpp"
#include "daemon/host.hpp"
#include "daemon/networks.hpp"
#include "rpc/log.hpp"
#include <algorithm>
#include <csignal>
#include <unistd.h>

namespace lodge::daemon {

bool Idle::is_idle() const {
    const auto runs_guests = [](const auto& hypervisor) { return hypervisor->is_persistent() && hypervisor->has_active(); };
    return host_.clients().empty() && std::ranges::none_of(host_.hypervisors(), runs_guests) && !host_.networks().has_active();
}

void Idle::set_limit(std::chrono::seconds limit) {
    limit_ = limit;
    consider();
}

void Idle::consider() {
    timer_.cancel();
    if (limit_.count() == 0 || !is_idle()) return;
    timer_.expires_after(limit_);
    timer_.async_wait([this](boost::system::error_code error) {
        if (error || !is_idle()) return;
        log::info("nobody connected and nothing running for {} s: the daemon ends", limit_.count());
        ::kill(::getpid(), SIGTERM);
    });
}

} // namespace lodge::daemon
