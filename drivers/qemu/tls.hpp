// What qemu.conf says about TLS for one kind of connection (vnc, spice, chardev, nbd). A value; settings.cpp reads it,
// command_line/ turns it into tls-creds objects.
#pragma once
#include <string>

namespace lodge::drivers::qemu {

struct Tls {
    bool on = false;                   // where the document leaves it open
    std::string dir = "/etc/pki/qemu"; // of ca-cert.pem, server-cert.pem, server-key.pem …
    bool verify_peer = false;
    std::string secret; // UUID of the key's passphrase; empty: the key has none
};

} // namespace lodge::drivers::qemu
