// The settings of the daemon's TCP and TLS doors: libvirtd.conf's keys with libvirt's defaults.
#pragma once
#include <string>
#include <vector>

namespace lodge::daemon {

class ConfigFile;

struct NetworkConfig {
    bool listen_tls = true, listen_tcp = false; // only with --listen, or sockets passed by systemd
    std::string listen_addr;                    // empty: every address
    std::string tls_port = "16514", tcp_port = "16509";
    std::string auth_tcp = "sasl", auth_tls = "none";

    std::string key_file = "/etc/pki/libvirt/private/serverkey.pem", cert_file = "/etc/pki/libvirt/servercert.pem",
                ca_file = "/etc/pki/CA/cacert.pem", crl_file = "/etc/pki/CA/cacrl.pem";
    bool crl_required = false; // the file was named by the administrator
    bool tls_no_sanity_certificate = false, tls_no_verify_certificate = false;
    std::vector<std::string> tls_allowed_dn_list = {"*"}; // an empty one allows nobody

    static NetworkConfig read(ConfigFile& file);
    static NetworkConfig load(const std::string& path);
};

} // namespace lodge::daemon
