// Streams of the protocol, seen from the daemon: bytes between a client and something of the host's. Data goes to the client only
// while its output is below the high mark, and is read from the client only as fast as the other side takes it.
#pragma once
#include "daemon/client.hpp"
#include "drivers/driver.hpp"
#include <boost/asio/posix/stream_descriptor.hpp>

namespace lodge::daemon {

// What the client knows by the serial of the call that opened it.
class ClientStream {
  public:
    virtual ~ClientStream() = default;

    const rpc::Header& header() const { return header_; }
    virtual void on_packet(const rpc::Header& header, std::string_view payload) = 0;
    virtual void on_drained() = 0;
    // The client is gone.
    virtual void abandon() = 0;
    // Enough has come in for now: read no more from the client until told.
    virtual bool is_full() const { return false; }

  protected:
    ClientStream(ClientPtr client, const rpc::Header& call);
    // Null once the client is gone.
    ClientPtr client() const { return client_.lock(); }
    void send(rpc::Status status, std::string_view data);
    void send_hole(std::int64_t length);

  private:
    std::weak_ptr<Client> client_;
    rpc::Header header_;
};

// A descriptor that can be waited for: a console, a channel, a picture.
class DescriptorStream : public ClientStream, public std::enable_shared_from_this<DescriptorStream> {
  public:
    // Joins `endpoint` to the stream that `call` opened and starts pumping. Reply to the call first.
    static void open(ClientPtr client, const rpc::Header& call, drivers::Endpoint endpoint);

    void on_packet(const rpc::Header& header, std::string_view payload) override;
    void on_drained() override;
    void abandon() override;

  private:
    DescriptorStream(ClientPtr client, const rpc::Header& call, drivers::Endpoint endpoint);
    void pump();
    void on_readable();
    void write_out();
    void finish(bool confirm);
    void fail(const rpc::Error& error);

    boost::asio::posix::stream_descriptor in_;
    std::optional<boost::asio::posix::stream_descriptor> out_;
    std::string to_device_;
    bool open_ = true, reading_ = false, writing_ = false, end_of_data_ = false;
};

} // namespace lodge::daemon
