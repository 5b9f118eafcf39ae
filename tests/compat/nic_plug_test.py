#!/usr/bin/python3
"""How a guest's card reaches the world: beside the host on one of its links (macvtap), on a switch of Open vSwitch, on a tap that
somebody's script or program looks after."""

import os
import re
import shutil
import stat
import subprocess
import unittest

import libvirt
import world
from world import run, virsh, wait_for

CARD = "<interface type='{}'><mac address='52:54:00:00:77:0{}'/><source {}/><model type='virtio'/></interface>"
POOL = "<network><name>{0}</name><forward mode='{1}'><interface dev='lend0'/></forward></network>"


def direct(number, mode="bridge", dev="lend0"):
    return CARD.format("direct", number, f"dev='{dev}' mode='{mode}'")


def on(network, number=1):
    return CARD.format("network", number, f"network='{network}'")


def card_of(name, *options):
    return re.search(r"<interface.*?</interface>", virsh("dumpxml", name, *options).out, re.S).group(0)


def macvtaps():
    """name -> what `ip` says of it"""
    lines = run("ip", "-o", "-d", "link", "show", "type", "macvtap").out.splitlines()
    return {re.match(r"\d+: ([^@]+)@", line).group(1): line for line in lines}


def require_macvtap(case, parent):
    if run("ip", "link", "add", "link", parent, "name", "probe0", "type", "macvtap", check=False).rc:
        case.skipTest("this kernel has no macvtap")
    run("ip", "link", "delete", "probe0")


def address_of(link):
    with open(f"/sys/class/net/{link}/address") as f:
        return f.read().strip()


class Macvtap(world.Case):
    def setUp(self):
        self.conn = self.connect()
        run("ip", "link", "add", "lend0", "type", "veth", "peer", "name", "far0")
        for link in ("lend0", "far0"):
            run("ip", "link", "set", link, "up")
        self.addCleanup(run, "ip", "link", "delete", "lend0", check=False)
        require_macvtap(self, "lend0")

    def tearDown(self):
        super().tearDown()
        for network in self.connect().listAllNetworks():
            if network.name() != "default":
                network.destroy()

    def start(self, card, name="card"):
        return self.conn.createXML(world.bare_xml(name, extra="<features><acpi/></features>", devices=card))

    def test_each_mode(self):
        for mode, word in (("bridge", "bridge"), ("vepa", "vepa"), ("private", "private"), ("passthrough", "passthru")):
            with self.subTest(mode):
                guest = self.start(direct(1, mode))
                (name, line), = macvtaps().items()
                self.assertIn(f"{name}@lend0", line)
                self.assertIn(f"macvtap mode {word}", line)
                self.assertEqual(address_of(name), "52:54:00:00:77:01")
                self.assertIn(f"<target dev='{name}'/>", card_of("card"))
                self.assertNotIn("<target", card_of("card", "--inactive"))
                self.assertEqual(len(guest.interfaceStats(name)), 8)
                guest.destroy()
                wait_for(lambda: not macvtaps(), what="the macvtap is gone")

    def test_a_link_that_is_not_there(self):
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR, "Unable to get index for interface nolink: No such device"):
            self.start(direct(1, dev="nolink"))

    def test_a_name_of_ones_own(self):
        guest = self.start(direct(1).replace("<model", "<target dev='mine'/><model"))
        self.assertEqual(list(macvtaps()), ["mine"])
        guest.destroy()

    def test_comes_and_goes(self):
        guest = self.start("")
        guest.attachDevice(direct(2))
        name, = macvtaps()
        self.assertIn(f"<target dev='{name}'/>", guest.XMLDesc())
        guest.updateDeviceFlags(card_of("card").replace("<alias", "<link state='down'/><alias"), libvirt.VIR_DOMAIN_AFFECT_LIVE)
        self.assertIn("<link state='down'/>", guest.XMLDesc())
        guest.destroy()
        wait_for(lambda: not macvtaps(), what="the macvtap is gone")

    def test_a_network_that_lends_a_link(self):
        for forward, mode in (("bridge", "bridge"), ("vepa", "vepa"), ("private", "private")):
            with self.subTest(forward):
                network = self.conn.networkCreateXML(POOL.format("pool", forward))
                guests = [self.start(on("pool", n), f"card{n}") for n in (1, 2)]
                self.assertEqual(len(macvtaps()), 2)
                live = card_of("card1")
                self.assertIn("<interface type='direct'>", live)
                self.assertRegex(live, f"<source network='pool' portid='[-0-9a-f]{{36}}' dev='lend0' mode='{mode}'/>")
                self.assertIn("<interface type='network'>", card_of("card1", "--inactive"))
                self.assertIn("<source network='pool'/>", card_of("card1", "--inactive"))
                for guest in guests:
                    guest.destroy()
                wait_for(lambda: not macvtaps(), what="the macvtaps are gone")
                network.destroy()

    def test_a_bridge_of_the_host(self):
        run("ip", "link", "add", "hostbr", "type", "bridge")
        self.addCleanup(run, "ip", "link", "delete", "hostbr", check=False)
        self.conn.networkCreateXML("<network><name>host</name><forward mode='bridge'/><bridge name='hostbr'/></network>")
        self.start(on("host"))
        self.assertIn("<interface type='bridge'>", card_of("card"))
        self.assertRegex(card_of("card"), "<source network='host' portid='[-0-9a-f]{36}' bridge='hostbr'/>")
        self.assertIn("<source network='host'/>", card_of("card", "--inactive"))

    def test_for_one_guest_alone(self):
        before = address_of("lend0")
        self.conn.networkCreateXML(POOL.format("alone", "passthrough"))
        guest = self.start(on("alone", 1), "first")
        self.assertEqual(address_of("lend0"), "52:54:00:00:77:01")
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "network 'alone' requires exclusive access to interfaces, but none are available"):
            self.start(on("alone", 2), "second")
        guest.destroy()
        wait_for(lambda: address_of("lend0") == before, what="the link has its own address again")

    @world.only_lodge
    def test_a_link_that_somebody_has_alone(self):
        before = address_of("lend0")
        first = self.start(direct(1, "passthrough"), "first")
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR, "cannot give link lend0 to one guest alone"):
            self.start(direct(2, "passthrough"), "second")
        self.assertEqual(address_of("lend0"), "52:54:00:00:77:01")
        self.assertEqual(len(macvtaps()), 1)
        first.destroy()
        wait_for(lambda: address_of("lend0") == before, what="the link has its own address again")

    @world.only_lodge
    def test_over_a_restart(self):
        before = address_of("lend0")
        self.conn.networkCreateXML(POOL.format("alone", "passthrough"))
        self.start(on("alone", 1))
        card = card_of("card")
        world.daemon.restart()
        self.assertEqual(card_of("card"), card)
        self.connect().lookupByName("card").destroy()
        wait_for(lambda: address_of("lend0") == before, what="the link has its own address again")

    def test_frames_go_out(self):
        world.default_network()
        run("ip", "link", "set", "far0", "master", "virbr0")
        virsh("create", self.file(world.guest_xml("card", nics=0, devices=direct(1))))
        console = world.Console("card")
        self.addCleanup(console.close)
        address = console.address()
        self.assertIn(address, virsh("net-dhcp-leases", "default").out)
        run("ping", "-c", "1", "-W", "5", address)

    def file(self, text):
        with open("/run/tmp/card.xml", "w") as f:
            f.write(text)
        return f.name


class Alone(world.Case):
    """<interface type='ethernet'>"""

    def setUp(self):
        self.conn = self.connect()

    def start(self, body):
        card = f"<interface type='ethernet'><mac address='52:54:00:00:77:01'/>{body}<model type='virtio'/></interface>"
        return self.conn.createXML(world.bare_xml("card", extra="<features><acpi/></features>", devices=card))

    def script(self, name, text):
        path = f"/usr/local/bin/{name}"
        with open(path, "w") as f:
            f.write(f"#!/bin/sh\n{text}\n")
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        self.addCleanup(os.unlink, path)
        return path

    def test_a_tap_of_its_own(self):
        guest = self.start("<target dev='mytap'/>")
        self.assertEqual(address_of("mytap"), "fe:54:00:00:77:01")
        guest.destroy()
        wait_for(lambda: not os.path.exists("/sys/class/net/mytap"), what="the tap is gone")

    def test_scripts(self):
        said = "/run/tmp/said"
        up = self.script("nic-up", f"echo up $1 $(cat /sys/class/net/$1/address) >> {said}")
        down = self.script("nic-down", f"echo down $1 >> {said}")
        self.addCleanup(os.unlink, said)
        guest = self.start(f"<target dev='mytap'/><script path='{up}'/><downscript path='{down}'/>")
        with open(said) as f:
            self.assertEqual(f.read(), "up mytap fe:54:00:00:77:01\n")
        guest.destroy()

        def told():
            with open(said) as f:
                return f.read().endswith("down mytap\n")

        wait_for(told, what="the second script has run")

    def test_a_script_that_fails(self):
        up = self.script("nic-up", "echo no such cable >&2; exit 3")
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "no such cable"):
            self.start(f"<target dev='mytap'/><script path='{up}'/>")
        self.assertFalse(os.path.exists("/sys/class/net/mytap"))

    def test_addresses_of_the_host(self):
        self.start("<source><ip address='10.77.0.1' family='ipv4' prefix='24'/></source><target dev='mytap'/>")
        self.assertIn("10.77.0.1/24", run("ip", "-br", "addr", "show", "mytap").out)

    def test_a_tap_of_somebody_else(self):
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "target managed='no' but specified dev doesn't exist"):
            self.start("<target dev='theirs' managed='no'/>")
        run("ip", "tuntap", "add", "theirs", "mode", "tap", "vnet_hdr")
        self.addCleanup(run, "ip", "link", "delete", "theirs", check=False)
        before = address_of("theirs")
        self.start("<target dev='theirs' managed='no'/>").destroy()
        self.assertEqual(address_of("theirs"), before)

    def test_a_macvtap_of_somebody_else(self):
        run("ip", "link", "add", "lend0", "type", "veth", "peer", "name", "far0")
        self.addCleanup(run, "ip", "link", "delete", "lend0", check=False)
        require_macvtap(self, "lend0")
        run("ip", "link", "add", "link", "lend0", "name", "theirs", "type", "macvtap", "mode", "bridge")
        self.start("<target dev='theirs' managed='no'/>").destroy()
        self.assertEqual(list(macvtaps()), ["theirs"])

    def test_frames_are_gathered(self):
        run("ip", "link", "add", "hostbr", "type", "bridge")
        self.addCleanup(run, "ip", "link", "delete", "hostbr", check=False)
        card = CARD.format("bridge", 1, "bridge='hostbr'").replace("<model", "<coalesce><rx><frames max='7'/></rx></coalesce><model")
        guest = self.conn.createXML(world.bare_xml("card", devices=card))
        self.assertIn("<frames max='7'/>", guest.XMLDesc())


@unittest.skipUnless(shutil.which("ovs-vswitchd"), "needs openvswitch-switch")
class OpenVSwitch(world.Case):
    """Switches in this world alone, which move frames in user space."""

    RUN, ETC = "/run/openvswitch", "/etc/openvswitch"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for folder in (cls.RUN, cls.ETC):
            os.makedirs(folder, exist_ok=True)
            run("mount", "-t", "tmpfs", "none", folder)
        run("ovsdb-tool", "create", f"{cls.ETC}/conf.db", "/usr/share/openvswitch/vswitch.ovsschema")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        cls.parts = [subprocess.Popen(["ovsdb-server", f"--remote=punix:{cls.RUN}/db.sock"], **quiet)]
        wait_for(lambda: os.path.exists(f"{cls.RUN}/db.sock"), what="the switch's database")
        run("ovs-vsctl", "--no-wait", "init")
        cls.parts.append(subprocess.Popen(["ovs-vswitchd"], **quiet))
        run("ovs-vsctl", "add-br", "switch0", "--", "set", "bridge", "switch0", "datapath_type=netdev")

    @classmethod
    def tearDownClass(cls):
        for part in reversed(cls.parts):
            part.kill()
            part.wait()
        super().tearDownClass()

    def setUp(self):
        self.conn = self.connect()

    def tearDown(self):
        super().tearDown()
        for network in self.connect().listAllNetworks():
            if network.name() != "default":
                network.destroy()

    def start(self, card):
        return self.conn.createXML(world.bare_xml("card", extra="<features><acpi/></features>", devices=card))

    def port(self, name, column):
        return run("ovs-vsctl", "get", "Port", name, column).out.strip()

    def notes(self, name):
        return dict(re.findall(r'([-\w]+)="?([^",}]*)"?', run("ovs-vsctl", "get", "Interface", name, "external_ids").out))

    def ports(self):
        return run("ovs-vsctl", "list-ports", "switch0").out.split()

    def test_a_port(self):
        port = "<virtualport type='openvswitch'><parameters interfaceid='09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f' profileid='menial'/></virtualport>"
        guest = self.start(CARD.format("bridge", 1, "bridge='switch0'").replace("<model", port + "<vlan><tag id='42'/></vlan><model"))
        name, = self.ports()
        self.assertIn(f"<target dev='{name}'/>", guest.XMLDesc())
        self.assertEqual(self.port(name, "tag"), "42")
        self.assertEqual(self.notes(name), {"attached-mac": "52:54:00:00:77:01", "ifname": name, "iface-id": "09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f",
                                            "iface-status": "active", "port-profile": "menial", "vm-id": guest.UUIDString()})
        guest.destroy()
        wait_for(lambda: not self.ports(), what="the port is gone")

    def test_a_trunk(self):
        vlan = "<vlan trunk='yes'><tag id='42'/><tag id='7' nativeMode='untagged'/></vlan>"
        self.start(CARD.format("bridge", 1, "bridge='switch0'").replace("<model", f"<virtualport type='openvswitch'/>{vlan}<model"))
        name, = self.ports()
        self.assertEqual(self.port(name, "trunks"), "[7, 42]")
        self.assertEqual(self.port(name, "vlan_mode"), "native-untagged")
        self.assertEqual(self.port(name, "tag"), "7")

    def test_comes_and_goes(self):
        guest = self.start("")
        card = CARD.format("bridge", 1, "bridge='switch0'").replace("<model", "<virtualport type='openvswitch'/><model")
        guest.attachDevice(card)
        name, = self.ports()
        self.assertIn("iface-id", self.notes(name))
        guest.destroy()
        wait_for(lambda: not self.ports(), what="the port is gone")

    def test_a_network_on_a_switch(self):
        self.conn.networkCreateXML("""<network><name>sw</name><forward mode='bridge'/><bridge name='switch0'/><virtualport type='openvswitch'/>
<portgroup name='red'><vlan><tag id='9'/></vlan></portgroup></network>""")
        guest = self.start(CARD.format("network", 1, "network='sw' portgroup='red'"))
        name, = self.ports()
        self.assertEqual(self.port(name, "tag"), "9")
        live = card_of("card")
        self.assertIn("<interface type='bridge'>", live)
        self.assertRegex(live, "<parameters interfaceid='[-0-9a-f]{36}'/>")
        self.assertIn("<tag id='9'/>", live)
        self.assertNotIn("<virtualport", card_of("card", "--inactive"))
        guest.destroy()
        wait_for(lambda: not self.ports(), what="the port is gone")

    def test_a_switch_that_is_not_there(self):
        card = CARD.format("bridge", 1, "bridge='nowhere'").replace("<model", "<virtualport type='openvswitch'/><model")
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR, "nowhere"):
            self.start(card)


if __name__ == "__main__":
    world.main()
