// Ending the daemon when nobody needs it: no client, no guest, no network for as long as an administrator said.
#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace lodge::daemon {

class Host;

class Idle {
  public:
    Idle(Host& host, boost::asio::io_context& io)
        : host_(host)
        , timer_(io) {}

    void set_limit(std::chrono::seconds limit); // 0: the daemon stays
    // A client has come or gone, or a guest has ended. Whatever else is begun, a client begins it.
    void consider();

  private:
    bool is_idle() const;

    Host& host_;
    boost::asio::steady_timer timer_;
    std::chrono::seconds limit_{0};
};

} // namespace lodge::daemon
