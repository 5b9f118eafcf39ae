#!/usr/bin/python3
"""TCP and TLS: stock virsh and virt-admin over the network, with certificates made here by openssl."""

import contextlib
import os
import re
import shutil
import socket
import subprocess

import world
from world import run, virsh

PKI = "/etc/pki"


def openssl(*args):
    run("openssl", *args)


def make_certificate(name, folder, subject, purpose, ca=None, days="2"):
    """folder/NAMEcert.pem and its key, signed by `ca` (or by itself)."""
    os.makedirs(folder, exist_ok=True)
    key, cert = f"{folder}/{name}key.pem", f"{folder}/{name}cert.pem"
    extensions = f"{folder}/{name}.ext"
    with open(extensions, "w") as file:
        file.write(purpose)
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-subj", subject, "-out", f"{folder}/{name}.csr")
    signer = ["-CA", ca[0], "-CAkey", ca[1], "-CAcreateserial"] if ca else ["-signkey", key]
    openssl("x509", "-req", "-in", f"{folder}/{name}.csr", "-out", cert, "-days", days, "-extfile", extensions, *signer)
    return cert, key


def install(cert, key, cert_to, key_to):
    for source, target in ((cert, cert_to), (key, key_to)):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(source, target)


class Network(world.Case):
    @classmethod
    def setUpClass(cls):
        work = "/run/tmp/pki"
        cls.ca = make_certificate("ca", work, "/O=Lodge/CN=ca", "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\n")
        server = make_certificate("server", work, "/O=Lodge/CN=localhost",
                                  "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n", cls.ca)
        cls.client = make_certificate("client", work, "/C=DE/O=Lodge, Inc/CN=client/emailAddress=a@example.com",
                                      "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n", cls.ca)
        other_ca = make_certificate("otherca", work, "/O=Other/CN=ca", "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n")
        cls.stranger = make_certificate("stranger", work, "/O=Other/CN=client", "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n", other_ca)
        os.makedirs(f"{PKI}/CA", exist_ok=True)
        shutil.copy(cls.ca[0], f"{PKI}/CA/cacert.pem")
        install(*server, f"{PKI}/libvirt/servercert.pem", f"{PKI}/libvirt/private/serverkey.pem")
        cls.use_client(cls.client)
        cls.conf = "/etc/libvirt/" + ("lodged.conf" if world.IS_LODGE else "libvirtd.conf")
        cls.original = open(cls.conf).read() if os.path.exists(cls.conf) else ""
        super().setUpClass()
        world.daemon.stop()

    @staticmethod
    def use_client(pair):
        install(*pair, f"{PKI}/libvirt/clientcert.pem", f"{PKI}/libvirt/private/clientkey.pem")

    def serve(self, settings):
        with open(self.conf, "w") as file:
            file.write(self.original + "\n" + settings + "\n")
        world.daemon.start("--listen")
        self.addCleanup(world.daemon.stop)
        ports = [16509] * ("listen_tcp = 1" in settings) + [16514] * ("listen_tls = 0" not in settings)
        for port in ports:  # they open after the local sockets
            world.wait_for(lambda port=port: self.answers(port), 20, f"port {port} is open")

    @staticmethod
    def answers(port):
        with contextlib.closing(socket.socket()) as peer:
            return peer.connect_ex(("127.0.0.1", port)) == 0

    def tearDown(self):
        pass  # no domains are made here

    def test_tcp(self):
        self.serve('listen_tcp = 1\nlisten_tls = 0\nauth_tcp = "none"\nlisten_addr = "127.0.0.1"')
        uri = "qemu+tcp://127.0.0.1/system"
        self.assertEqual(virsh("uri", uri=uri).out.strip(), uri)
        self.assertEqual(virsh("net-list", "--name", uri=uri).out, virsh("net-list", "--name").out)
        conn = self.connect(uri)
        self.assertFalse(conn.isSecure())
        xml = conn.getCapabilities()  # longer than one read
        self.assertEqual(xml, self.connect().getCapabilities())
        self.assertNotEqual(virsh("list", uri="qemu+tls://localhost/system", check=False).rc, 0)

    def test_tls(self):
        self.serve('listen_tcp = 0')
        uri = "qemu+tls://localhost/system"
        self.assertEqual(virsh("net-list", "--all", uri=uri).out, virsh("net-list", "--all").out)
        conn = self.connect(uri)
        self.assertTrue(conn.isSecure())
        self.assertEqual(conn.getCapabilities(), self.connect().getCapabilities())
        readonly = self.connect(uri, readonly=True)
        with self.refused(world.libvirt.VIR_ERR_OPERATION_DENIED):
            readonly.createXML(world.bare_xml("no"))

    def test_who_is_connected(self):
        self.serve('listen_tcp = 1\nauth_tcp = "none"')
        tls, tcp = self.connect("qemu+tls://localhost/system"), self.connect("qemu+tcp://localhost/system")
        listed = run("virt-admin", "client-list", "libvirtd").out
        kinds = {m.group(2): m.group(1) for m in re.finditer(r"^ (\d+) +(\w+) ", listed, re.M)}
        self.assertTrue({"tls", "tcp"} <= set(kinds), listed)
        info = run("virt-admin", "client-info", "libvirtd", kinds["tls"]).out
        self.assertRegex(info, r"sock_addr +: (127\.0\.0\.1|::1|\[::1\]):\d+")
        self.assertRegex(info, r"tls_x509_dname +: .*CN=client")
        self.assertRegex(info, r"readonly +: no")
        self.assertNotIn("unix_user_id", info)
        self.assertNotIn("tls_x509_dname", run("virt-admin", "client-info", "libvirtd", kinds["tcp"]).out)
        run("virt-admin", "client-disconnect", "libvirtd", kinds["tls"])
        world.wait_for(lambda: not tls.isAlive() or self.is_gone(tls), 10, "the client is gone")
        self.assertEqual(tcp.getHostname(), "lodge-world")

    @staticmethod
    def is_gone(conn):
        try:
            conn.getHostname()
            return False
        except world.libvirt.libvirtError:
            return True

    def distinguished_name(self):
        """The client's name as libvirt's own tool tells an administrator to write it."""
        return run("virt-pki-query-dn", self.client[0]).out.strip().split("\n")[-1]

    def test_allowed_names(self):
        name = self.distinguished_name()
        self.serve(f'tls_allowed_dn_list = ["O=Nobody", "{name}"]')
        self.assertEqual(virsh("uri", uri="qemu+tls://localhost/system").rc, 0)
        world.daemon.stop()
        self.serve('tls_allowed_dn_list = ["*CN=cli?nt*"]')
        self.assertEqual(virsh("uri", uri="qemu+tls://localhost/system").rc, 0)
        world.daemon.stop()
        self.serve('tls_allowed_dn_list = ["*CN=somebody*"]')
        self.assertNotEqual(virsh("uri", uri="qemu+tls://localhost/system", check=False).rc, 0)

    def test_strangers(self):
        self.serve("")
        try:
            self.use_client(self.stranger)
            self.assertNotEqual(virsh("uri", uri="qemu+tls://localhost/system", check=False).rc, 0)
            for part in ("clientcert.pem", "private/clientkey.pem"):
                os.remove(f"{PKI}/libvirt/{part}")
            self.assertNotEqual(virsh("uri", uri="qemu+tls://localhost/system", check=False).rc, 0)
            world.daemon.stop()
            self.serve("tls_no_verify_certificate = 1")
            self.assertEqual(virsh("uri", uri="qemu+tls://localhost/system").rc, 0)
        finally:
            self.use_client(self.client)

    def test_without_certificates_it_says_what_is_missing(self):
        os.rename(f"{PKI}/libvirt/servercert.pem", f"{PKI}/libvirt/elsewhere.pem")
        try:
            with open(self.conf, "w") as file:
                file.write(self.original)
            done = subprocess.run([world.PEER, "--listen"], capture_output=True, text=True, timeout=120)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(f"Cannot read certificate '{PKI}/libvirt/servercert.pem': No such file or directory", done.stderr)
        finally:
            os.rename(f"{PKI}/libvirt/elsewhere.pem", f"{PKI}/libvirt/servercert.pem")

    def test_noise_and_silence_are_turned_away(self):
        self.serve('listen_tcp = 1\nauth_tcp = "none"')
        held = [socket.create_connection(("127.0.0.1", 16514)) for _ in range(5)]
        held[0].sendall(b"GET / HTTP/1.0\r\n\r\n")
        self.assertEqual(virsh("uri", uri="qemu+tls://localhost/system").rc, 0)
        with socket.create_connection(("127.0.0.1", 16509)) as noise:
            noise.sendall(b"\xff" * 64)
            noise.settimeout(60)
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(noise.recv(16), b"")
        self.assertEqual(virsh("uri", uri="qemu+tcp://localhost/system").rc, 0)
        for one in held:
            one.close()


if __name__ == "__main__":
    world.main()
