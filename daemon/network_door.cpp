#include "daemon/network_door.hpp"
#include "daemon/remote_peers.hpp"
#include "rpc/log.hpp"
#include <arpa/inet.h>
#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <openssl/x509v3.h>
#include <sys/socket.h>

namespace lodge::daemon {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using namespace asio::experimental::awaitable_operators;
using Local = asio::local::stream_protocol::socket;

namespace {

constexpr std::chrono::seconds handshake_limit{30};

std::string address_of(const asio::ip::tcp::socket& socket) {
    boost::system::error_code error;
    const auto end = socket.remote_endpoint(error);
    return error ? "unknown" : fmt::format("{}:{}", end.address().to_string(), end.port());
}

asio::ip::tcp::socket tcp_socket(Host& host, Fd socket) {
    sockaddr_storage name{};
    socklen_t size = sizeof name;
    getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &size);
    asio::ip::tcp::socket out(host.executor());
    out.assign(name.ss_family == AF_INET6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(), socket.release());
    const int on = 1;
    setsockopt(out.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // small messages are what this is for
    return out;
}

// Until one side ends; what is on its way by then is written first.
template<class From, class To> Task<> carry(From& from, To& to) {
    std::array<char, 16384> buffer;
    for (;;) {
        boost::system::error_code error;
        const auto count = co_await from.async_read_some(asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, error));
        if (error) co_return;
        co_await asio::async_write(to, asio::buffer(buffer, count), asio::redirect_error(asio::use_awaitable, error));
        if (error) co_return;
    }
}

// Hands one end of a pair to the daemon and carries bytes between the other and the peer.
template<class Stream> Task<> relay(Host& host, Stream& stream, RemotePeer peer) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        log::error("{}: no socket for a client: {}", peer.address, rpc::errno_text(errno));
        co_return;
    }
    Local inside(host.executor(), asio::local::stream_protocol(), pair[1]);
    const auto known = remote_peers().add(pair[0], std::move(peer));
    host.accept(Fd(pair[0]), Door::read_write);
    co_await (carry(stream, inside) || carry(inside, stream));
}

class TcpDoor : public NetworkDoor {
  public:
    explicit TcpDoor(Host& host)
        : host_(host) {}
    void serve(Fd socket) override {
        rpc::spawn(host_.executor(), "TCP client", run(host_, tcp_socket(host_, std::move(socket))));
    }

  private:
    static Task<> run(Host& host, asio::ip::tcp::socket socket) {
        RemotePeer peer{false, address_of(socket), {}};
        co_await relay(host, socket, std::move(peer));
    }
    Host& host_;
};

// ---- TLS ----

[[noreturn]] void refuse_file(const char* what, const std::string& path, const std::string& why) {
    rpc::fail(From::rpc, Code::system_error, "Cannot read {} '{}': {}", what, path, why);
}

void require_readable(const char* what, const std::string& path) {
    if (::access(path.c_str(), R_OK) != 0) refuse_file(what, path, rpc::errno_text(errno));
}

// "C=GB,O=Example,CN=name": order, commas and words as virt-pki-query-dn tells them to administrators.
std::string name_of(X509* certificate) {
    std::string text;
    if (BIO* out = BIO_new(BIO_s_mem())) {
        X509_NAME_print_ex(out, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253 & ~XN_FLAG_DN_REV);
        char* data = nullptr;
        const long size = BIO_get_mem_data(out, &data);
        text.assign(data, static_cast<std::size_t>(size));
        BIO_free(out);
    }
    static constexpr std::string_view openssl_word = "emailAddress=", libvirt_word = "EMAIL=";
    for (std::size_t at = 0; (at = text.find(openssl_word, at)) != std::string::npos; at += libvirt_word.size())
        if (at == 0 || text[at - 1] == ',' || text[at - 1] == '+') text.replace(at, openssl_word.size(), libvirt_word);
    return text;
}

// A server whose certificate nobody can accept should say so at its start, not at every client's.
void check_own_certificate(SSL_CTX* context, const NetworkConfig& config) {
    X509* own = SSL_CTX_get0_certificate(context);
    if (!own) return;
    const auto complain = [&](const char* why) {
        rpc::fail(From::rpc, Code::system_error, "The server certificate {} {}", config.cert_file, why);
    };
    if (X509_cmp_current_time(X509_get0_notAfter(own)) < 0) complain("has expired");
    if (X509_cmp_current_time(X509_get0_notBefore(own)) > 0) complain("is not yet active");
    if (X509_check_ca(own) == 1) complain("basic constraints show a CA, but we need one for a server");
    if (X509_check_purpose(own, X509_PURPOSE_SSL_SERVER, 0) != 1) complain("usage does not permit TLS servers");
}

ssl::context make_context(const NetworkConfig& config) {
    require_readable("CA certificate", config.ca_file);
    require_readable("certificate", config.cert_file);
    require_readable("private key", config.key_file);
    ssl::context context(ssl::context::tls_server);
    context.set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
    // Clients take the first record after the handshake for the welcome: there must be no tickets before it.
    SSL_CTX_set_num_tickets(context.native_handle(), 0);
    boost::system::error_code error;
    context.load_verify_file(config.ca_file, error);
    if (error) refuse_file("CA certificate", config.ca_file, error.message());
    context.use_certificate_chain_file(config.cert_file, error);
    if (error) refuse_file("certificate", config.cert_file, error.message());
    context.use_private_key_file(config.key_file, ssl::context::pem, error);
    if (error) refuse_file("private key", config.key_file, error.message());
    if (SSL_CTX_check_private_key(context.native_handle()) != 1)
        refuse_file("private key", config.key_file, "it does not belong to the server certificate");
    if (config.crl_required || ::access(config.crl_file.c_str(), R_OK) == 0) {
        require_readable("CA revocation list", config.crl_file);
        X509_STORE* store = SSL_CTX_get_cert_store(context.native_handle());
        if (X509_load_crl_file(X509_STORE_add_lookup(store, X509_LOOKUP_file()), config.crl_file.c_str(), X509_FILETYPE_PEM) < 1)
            refuse_file("CA revocation list", config.crl_file, "it holds no list");
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    }
    if (!config.tls_no_sanity_certificate) check_own_certificate(context.native_handle(), config);
    context.set_verify_mode(config.tls_no_verify_certificate ? ssl::verify_none
                                                             : ssl::verify_peer | ssl::verify_fail_if_no_peer_cert);
    return context;
}

class TlsDoor : public NetworkDoor {
  public:
    TlsDoor(Host& host, const NetworkConfig& config)
        : host_(host)
        , config_(config)
        , context_(make_context(config)) {}

    void serve(Fd socket) override {
        if (handshakes_ >= host_.config().max_anonymous_clients) {
            log::warn("{} TLS handshakes at once, connection refused; see max_anonymous_clients", handshakes_);
            return;
        }
        rpc::spawn(host_.executor(), "TLS client", run(tcp_socket(host_, std::move(socket))));
    }

  private:
    using Stream = ssl::stream<asio::ip::tcp::socket>;

    Task<> run(asio::ip::tcp::socket socket) {
        RemotePeer peer{true, address_of(socket), {}};
        Stream stream(std::move(socket), context_);
        ++handshakes_;
        const bool greeted = co_await greet(stream, peer);
        --handshakes_;
        if (greeted) co_await relay(host_, stream, std::move(peer));
    }

    // False: the peer was sent away; why is in the log.
    Task<bool> greet(Stream& stream, RemotePeer& peer) {
        boost::system::error_code error;
        asio::steady_timer timer(host_.executor(), handshake_limit);
        const auto shaken =
            co_await (stream.async_handshake(ssl::stream_base::server, asio::redirect_error(asio::use_awaitable, error)) ||
                      timer.async_wait(asio::use_awaitable));
        if (shaken.index() == 1) {
            log::warn("{}: no TLS handshake within {} s", peer.address, handshake_limit.count());
            co_return false;
        }
        if (error) {
            log::warn("{}: TLS handshake failed: {}", peer.address, error.message());
            co_return false;
        }
        if (!admit(stream, peer)) co_return false;
        // libvirt's clients wait for this byte: it says that their certificate was accepted.
        const char welcome = '\1';
        co_await asio::async_write(stream, asio::buffer(&welcome, 1), asio::redirect_error(asio::use_awaitable, error));
        co_return !error;
    }

    bool admit(Stream& stream, RemotePeer& peer) const {
        X509* certificate = SSL_get1_peer_certificate(stream.native_handle());
        if (!certificate) return true; // verification is off
        peer.x509_name = name_of(certificate);
        X509_free(certificate);
        if (config_.tls_no_verify_certificate) return true;
        if (is_allowed_name(peer.x509_name, config_.tls_allowed_dn_list)) return true;
        log::warn("{}: the client's distinguished name '{}' is not on tls_allowed_dn_list; connection refused", peer.address,
                  peer.x509_name);
        return false;
    }

    Host& host_;
    NetworkConfig config_;
    ssl::context context_;
    int handshakes_ = 0;
};

void check_auth(const char* key, const std::string& value) {
    if (value == "none") return;
    rpc::fail(From::conf, Code::config_unsupported,
              "{} = \"{}\": only \"none\" is supported on network sockets; whom TLS admits is set by certificates", key, value);
}

// fnmatch() would give brackets and backslashes, which names may have, a meaning. Of several stars only the last is tried again:
// the time is at most the product of both lengths, as the name is the peer's.
bool matches(std::string_view name, std::string_view pattern) {
    constexpr auto none = std::string_view::npos;
    std::size_t at = 0, in_pattern = 0, star = none, after_star = 0;
    while (at < name.size()) {
        if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
            star = in_pattern++;
            after_star = at;
        } else if (in_pattern < pattern.size() && (pattern[in_pattern] == '?' || pattern[in_pattern] == name[at])) {
            ++at, ++in_pattern;
        } else if (star != none) {
            in_pattern = star + 1;
            at = ++after_star;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', in_pattern) == none;
}

} // namespace

bool is_allowed_name(const std::string& name, const std::vector<std::string>& patterns) {
    return std::ranges::any_of(patterns, [&](const std::string& pattern) { return matches(name, pattern); });
}

std::unique_ptr<NetworkDoor> make_tcp_door(Host& host, const NetworkConfig& config) {
    check_auth("auth_tcp", config.auth_tcp);
    return std::make_unique<TcpDoor>(host);
}

std::unique_ptr<NetworkDoor> make_tls_door(Host& host, const NetworkConfig& config) {
    check_auth("auth_tls", config.auth_tls);
    return std::make_unique<TlsDoor>(host, config);
}

} // namespace lodge::daemon
