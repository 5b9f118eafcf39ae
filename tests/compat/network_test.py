#!/usr/bin/python3
"""What stands behind a network: bridge, dnsmasq, packet filter; live changes; others at work on the same host."""

import contextlib
import os
import signal
import socket
import struct

import world
from world import run, virsh, wait_for

KINDS = {
    "isolated": "<network><name>kind</name><bridge name='virbr8'/><ip address='10.88.0.1' prefix='24'/></network>",
    "route": "<network><name>kind</name><forward mode='route'/><bridge name='virbr8'/><ip address='10.88.0.1' prefix='24'/></network>",
    "open": "<network><name>kind</name><forward mode='open'/><bridge name='virbr8'/><ip address='10.88.0.1' prefix='24'/></network>",
    "six": "<network><name>kind</name><forward mode='nat'><nat ipv6='yes'/></forward><bridge name='virbr8'/>"
    "<ip family='ipv6' address='fd00:88::1' prefix='64'><dhcp><range start='fd00:88::10' end='fd00:88::20'/></dhcp></ip></network>",
}


def dnsmasq_pid(name="default"):
    try:
        with open(f"/run/libvirt/network/{name}.pid") as f:
            return int(f.read())
    except (OSError, ValueError):
        return 0


def nft(*words, check=True):
    return run("nft", *words, check=check)


def resolve(name, server="192.168.122.1"):
    """Asks dnsmasq for an A record; the address, or nothing."""
    question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0\0\1\0\1"
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
        client.settimeout(1)
        client.sendto(struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + question, (server, 53))
        try:
            reply = client.recv(512)
        except TimeoutError:  # asked somebody outside, who is not there
            return None
    return socket.inet_ntoa(reply[-4:]) if struct.unpack(">H", reply[6:8])[0] else None


class Networks(world.Case):
    def setUp(self):
        world.default_network()

    def tearDown(self):
        super().tearDown()
        for name in virsh("net-list", "--all", "--name").out.split():
            if name != "default":
                virsh("net-destroy", name, check=False)
                virsh("net-undefine", name, check=False)

    def create(self, text):
        with open("/run/tmp/network.xml", "w") as f:
            f.write(text)
        virsh("net-create", "/run/tmp/network.xml")

    @world.only_lodge
    def test_kinds_of_forwarding(self):
        for kind, text in KINDS.items():
            with self.subTest(kind):
                self.create(text)
                rules = nft("list", "table", "inet", "lodge_virbr8", check=False)
                self.assertEqual(rules.rc != 0, kind == "open")
                self.assertEqual("masquerade" in rules.out, kind == "six")
                self.assertEqual("reject" in rules.out, kind != "open")
                self.assertTrue(world.alive(dnsmasq_pid("kind")))
                with open("/proc/sys/net/ipv6/conf/virbr8/disable_ipv6") as f:
                    self.assertEqual(f.read().strip(), "0" if kind == "six" else "1")
                pid = dnsmasq_pid("kind")
                virsh("net-destroy", "kind")
                self.assertFalse(world.alive(pid))
                self.assertNotIn("lodge_virbr8", nft("list", "tables").out)
                self.assertFalse(os.path.exists("/sys/class/net/virbr8"))

    def test_live_changes(self):
        pid = dnsmasq_pid()
        virsh("net-update", "default", "add", "dns-host", "<host ip='192.168.122.99'><hostname>fresh</hostname></host>", "--live", "--config")
        wait_for(lambda: resolve("fresh") == "192.168.122.99", 5, "the new name")
        self.assertIn("<hostname>fresh</hostname>", virsh("net-dumpxml", "default", "--inactive").out)
        virsh("net-update", "default", "delete", "dns-host", "<host ip='192.168.122.99'/>", "--live", "--config")
        wait_for(lambda: resolve("fresh") is None, 5, "the name to be gone")
        host = "<host mac='52:54:00:00:00:88' ip='192.168.122.88'/>"
        virsh("net-update", "default", "add", "ip-dhcp-host", host, "--live")
        with open("/var/lib/libvirt/dnsmasq/default.hostsfile") as f:
            self.assertEqual(f.read(), "52:54:00:00:00:88,192.168.122.88\n")
        self.assertNotIn("192.168.122.88", virsh("net-dumpxml", "default", "--inactive").out)
        failed = virsh("net-update", "default", "add", "ip-dhcp-host", host, "--live", check=False)
        self.assertIn("there is an existing dhcp host entry in network 'default'", failed.err)
        virsh("net-update", "default", "delete", "ip-dhcp-host", host, "--live")
        failed = virsh("net-update", "default", "modify", "bridge", "<bridge name='x'/>", "--live", check=False)
        self.assertEqual(failed.rc, 1)
        self.assertTrue(world.alive(pid) or not world.IS_LODGE)

    @world.only_lodge
    def test_dnsmasq_that_dies_comes_back(self):
        pid = dnsmasq_pid()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: dnsmasq_pid() not in (0, pid) and world.alive(dnsmasq_pid()), 10, "a new dnsmasq")
        pid = dnsmasq_pid()
        world.daemon.restart(9)
        self.assertEqual(dnsmasq_pid(), pid)  # adopted, not started anew
        world.daemon.stop(9)
        os.kill(pid, signal.SIGKILL)
        world.daemon.start()
        wait_for(lambda: dnsmasq_pid() not in (0, pid) and world.alive(dnsmasq_pid()), 10, "a new dnsmasq after the restart")

    @world.only_lodge
    def test_others_at_the_packet_filter(self):
        nft("flush", "ruleset")
        wait_for(lambda: "lodge_virbr0" in nft("list", "tables").out, 5, "the rules to be put back")
        # As Docker does it.
        run("iptables", "-P", "FORWARD", "DROP")
        run("iptables", "-N", "DOCKER-USER")
        run("iptables", "-I", "FORWARD", "-j", "DOCKER-USER")
        rule = ("DOCKER-USER", "-i", "virbr0", "-j", "ACCEPT")
        wait_for(lambda: run("iptables", "-C", *rule, check=False).rc == 0, 5, "the bridge to be let through")
        virsh("net-destroy", "default")
        self.assertNotEqual(run("iptables", "-C", *rule, check=False).rc, 0)
        virsh("net-start", "default")
        self.assertEqual(run("iptables", "-C", *rule).rc, 0)
        run("iptables", "-P", "FORWARD", "ACCEPT")
        run("iptables", "-F")
        run("iptables", "-X", "DOCKER-USER")

    @world.only_lodge
    def test_a_start_that_fails_leaves_nothing(self):
        text = KINDS["isolated"].replace(
            "</network>", "<d:options xmlns:d='http://libvirt.org/schemas/network/dnsmasq/1.0'><d:option value='nonsense'/></d:options></network>"
        )
        with open("/run/tmp/network.xml", "w") as f:
            f.write(text)
        failed = virsh("net-create", "/run/tmp/network.xml", check=False)
        self.assertIn("bad option at line", failed.err)
        self.assertFalse(os.path.exists("/sys/class/net/virbr8"))
        self.assertNotIn("lodge_virbr8", nft("list", "tables").out)
        self.assertNotIn("kind", virsh("net-list", "--all").out)


if __name__ == "__main__":
    world.main()
