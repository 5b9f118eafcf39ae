// Ports of VNC and SPICE displays: each guest gets the lowest that is free on the host and that no other guest was promised; and
// who may look, by password.
#pragma once
#include "drivers/qemu/settings.hpp"
#include "xml/domain/domain.hpp"
#include <nlohmann/json_fwd.hpp>
#include <set>

namespace lodge::drivers::qemu {

class Displays {
  public:
    explicit Displays(const Settings& settings)
        : display_{"display", settings.remote_display_port_min, settings.remote_display_port_max}
        , websocket_{"webSocket", settings.remote_websocket_port_min, settings.remote_websocket_port_max} {}

    // Fills in what the document leaves open: ports, and from qemu.conf the addresses. Returns the ports taken; throws
    // Code::internal_error when none is free.
    std::vector<unsigned> assign(xml::Domain& domain, const Settings& settings);
    void take(const std::vector<unsigned>& ports) { taken_.insert(ports.begin(), ports.end()); }
    void release(const std::vector<unsigned>& ports) {
        for (const unsigned port : ports) taken_.erase(port);
    }

  private:
    struct Range {
        const char* name;
        unsigned min, max;
    };
    int next(const Range& range, std::vector<unsigned>& ports);
    void assign_vnc(xml::Graphics& graphics, std::vector<unsigned>& ports);
    void assign_spice(xml::Graphics& graphics, bool tls, std::vector<unsigned>& ports);

    Range display_, websocket_;
    std::set<unsigned> taken_;
};

// The commands that give a display its password and say until when it holds; `general` is that of qemu.conf. Empty: it has none.
std::vector<std::pair<std::string, nlohmann::json>> password_orders(const xml::Graphics& graphics, const Settings& settings);

} // namespace lodge::drivers::qemu
