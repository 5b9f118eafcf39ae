#!/usr/bin/python3
"""The default network: there from the first start, and everything that virsh net-* does to it."""

import glob
import json
import os
import re

import libvirt
import world
from world import virsh, wait_for

OTHER = """<network><name>other</name><forward mode='nat'/><bridge name='virbr7'/>
<ip address='192.168.177.1' netmask='255.255.255.0'><dhcp><range start='192.168.177.10' end='192.168.177.20'/>
<host mac='52:54:00:00:00:77' name='fixed' ip='192.168.177.77'/></dhcp></ip></network>"""


def net_list(*options):
    """name -> (state, autostart, persistent)"""
    return {w[0]: tuple(w[1:4]) for w in (line.split() for line in virsh("net-list", "--all", *options).out.splitlines()[2:]) if w}


def links():
    return os.listdir("/sys/class/net")


class DefaultNetwork(world.Case):
    def setUp(self):
        world.default_network()

    def tearDown(self):
        super().tearDown()
        for name in net_list():
            if name != "default":
                virsh("net-destroy", name, check=False)
                virsh("net-undefine", name, check=False)

    def file(self, text):
        path = "/run/tmp/network.xml"
        with open(path, "w") as f:
            f.write(text)
        return path

    @world.only_lodge
    def test_active_from_the_first_start(self):
        self.assertEqual(net_list()["default"], ("active", "yes", "yes"))
        self.assertIn("virbr0", links())

    def test_as_users_know_it(self):
        xml = virsh("net-dumpxml", "default").out
        self.assertRegex(xml, r"<uuid>[-0-9a-f]{36}</uuid>")
        self.assertRegex(xml, r"<bridge name='virbr0' stp='on' delay='0'/>")
        self.assertRegex(xml, r"<mac address='52:54:00:[0-9a-f:]{8}'/>")
        self.assertIn("<ip address='192.168.122.1' netmask='255.255.255.0'>", xml)
        self.assertIn("<range start='192.168.122.2' end='192.168.122.254'/>", xml)
        info = virsh("net-info", "default").out
        self.assertRegex(info, r"(?m)^Active: +yes$")
        self.assertRegex(info, r"(?m)^Bridge: +virbr0$")
        for name in ("default.conf", "default.hostsfile", "default.addnhosts"):
            self.assertTrue(os.path.exists(f"/var/lib/libvirt/dnsmasq/{name}"), name)
        with open("/var/lib/libvirt/dnsmasq/default.conf") as f:
            conf = f.read()
        self.assertIn("dhcp-range=192.168.122.2,192.168.122.254", conf)

    def test_stop_and_start(self):
        self.assertIn("Network default destroyed", virsh("net-destroy", "default").out)
        self.assertNotIn("virbr0", links())
        self.assertEqual(net_list()["default"][0], "inactive")
        self.assertIn("Network default started", virsh("net-start", "default").out)
        self.assertIn("virbr0", links())
        failed = virsh("net-start", "default", check=False)
        self.assertIn("network is already active", failed.err)

    def test_a_network_of_ones_own(self):
        path = self.file(OTHER)
        self.assertIn(f"Network other defined from {path}", virsh("net-define", path).out)
        self.assertEqual(net_list()["other"], ("inactive", "no", "yes"))
        virsh("net-autostart", "other")
        self.assertEqual(os.readlink("/etc/libvirt/qemu/networks/autostart/other.xml"), "/etc/libvirt/qemu/networks/other.xml")
        virsh("net-autostart", "other", "--disable")
        virsh("net-start", "other")
        self.assertIn("virbr7", links())
        self.assertEqual(virsh("net-uuid", "other").out, virsh("net-uuid", "other").out)
        virsh("net-destroy", "other")
        virsh("net-undefine", "other")
        self.assertNotIn("other", net_list())
        self.assertFalse(os.path.exists("/etc/libvirt/qemu/networks/other.xml"))

    def test_transient(self):
        virsh("net-create", self.file(OTHER))
        self.assertEqual(net_list()["other"], ("active", "no", "no"))
        virsh("net-destroy", "other")
        self.assertNotIn("other", net_list())
        self.assertEqual(glob.glob("/var/lib/libvirt/dnsmasq/other.*"), [])

    def test_leases_and_fixed_addresses(self):
        virsh("net-create", self.file(OTHER))
        xml = world.guest_xml("tenant").replace("<source network='default'/>", "<source network='other'/><mac address='52:54:00:00:00:77'/>")
        with open("/run/tmp/tenant.xml", "w") as f:
            f.write(xml)
        virsh("create", "/run/tmp/tenant.xml")
        wait_for(lambda: world.leases("other").get("52:54:00:00:00:77") == "192.168.177.77", 40, "the fixed address")
        (lease,) = self.connect().networkLookupByName("other").DHCPLeases()
        self.assertEqual((lease["iface"], lease["ipaddr"], lease["prefix"], lease["mac"]), ("virbr7", "192.168.177.77", 24, "52:54:00:00:00:77"))
        with open("/var/lib/libvirt/dnsmasq/virbr7.status") as f:  # what libnss-libvirt reads
            self.assertEqual(json.load(f)[0]["ip-address"], "192.168.177.77")

    def test_events(self):
        events = world.Events()
        self.addCleanup(events.close)
        seen = []
        events.ids.append(
            events.conn.networkEventRegisterAny(None, libvirt.VIR_NETWORK_EVENT_ID_LIFECYCLE, lambda c, n, e, d, o: seen.append((n.name(), e)), None)
        )
        number = events.ids.pop()
        virsh("net-define", self.file(OTHER))
        virsh("net-start", "other")
        virsh("net-destroy", "other")
        virsh("net-undefine", "other")
        kinds = (
            libvirt.VIR_NETWORK_EVENT_DEFINED,
            libvirt.VIR_NETWORK_EVENT_STARTED,
            libvirt.VIR_NETWORK_EVENT_STOPPED,
            libvirt.VIR_NETWORK_EVENT_UNDEFINED,
        )
        wait_for(lambda: len(seen) >= 4, 5, "four network events")
        self.assertEqual(seen, [("other", kind) for kind in kinds])
        events.conn.networkEventDeregisterAny(number)

    def test_errors(self):
        failed = virsh("net-define", self.file("<network><name>x</name><ip address='300.1.1.1'/></network>"), check=False)
        self.assertEqual(failed.rc, 1)
        self.assertIn("300.1.1.1", failed.err)
        failed = virsh("net-create", self.file(OTHER.replace("192.168.177", "192.168.122")), check=False)
        self.assertIn("Network is already in use by interface virbr0", failed.err)
        self.assertNotIn("virbr7", links())
        failed = virsh("net-start", "nowhere", check=False)
        self.assertIn("error: Network not found: no network with matching name 'nowhere'", failed.err)

    def test_a_guest_on_a_bridge_of_the_host(self):
        world.run("ip", "link", "add", "br-own", "type", "bridge")
        self.addCleanup(world.run, "ip", "link", "del", "br-own")
        xml = world.bare_xml("bridged", devices="<interface type='bridge'><source bridge='br-own'/></interface>")
        self.connect().createXML(xml)
        tap = re.search(r"<target dev='(vnet\d+)'/>", virsh("dumpxml", "bridged").out).group(1)
        self.assertEqual(os.path.basename(os.readlink(f"/sys/class/net/{tap}/master")), "br-own")
        virsh("destroy", "bridged")
        wait_for(lambda: tap not in links(), 5, "the tap to be gone")

    def test_survives_the_daemon(self):
        number = virsh("net-uuid", "default").out
        world.daemon.restart()
        self.assertEqual(net_list()["default"][0], "active")
        self.assertEqual(virsh("net-uuid", "default").out, number)
        world.daemon.restart(9)
        self.assertEqual(net_list()["default"][0], "active")
        self.assertIn("virbr0", links())


if __name__ == "__main__":
    world.main()
