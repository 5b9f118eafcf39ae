#include "daemon/network_config.hpp"
#include "daemon/config.hpp"

namespace lodge::daemon {

NetworkConfig NetworkConfig::read(ConfigFile& file) {
    NetworkConfig config;
    file.read("listen_tls", config.listen_tls);
    file.read("listen_tcp", config.listen_tcp);
    file.read("listen_addr", config.listen_addr);
    file.read("tls_port", config.tls_port);
    file.read("tcp_port", config.tcp_port);
    file.read("auth_tcp", config.auth_tcp);
    file.read("auth_tls", config.auth_tls);
    file.read("key_file", config.key_file);
    file.read("cert_file", config.cert_file);
    file.read("ca_file", config.ca_file);
    std::string crl;
    file.read("crl_file", crl);
    config.crl_required = !crl.empty();
    if (config.crl_required) config.crl_file = crl;
    file.read("tls_no_sanity_certificate", config.tls_no_sanity_certificate);
    file.read("tls_no_verify_certificate", config.tls_no_verify_certificate);
    file.read("tls_allowed_dn_list", config.tls_allowed_dn_list);
    return config;
}

NetworkConfig NetworkConfig::load(const std::string& path) {
    ConfigFile file = ConfigFile::load(path);
    return read(file);
}

} // namespace lodge::daemon
