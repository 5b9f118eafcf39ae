#!/usr/bin/python3
"""Ports of running networks: those of guests, and those that clients make."""

import contextlib
import os
import re
import signal
import uuid

import libvirt
import world
from world import virsh

OWNER = "11111111-1111-4111-8111-111111111111"
NETWORK = """<network><name>ports</name><bridge name='virbr9'/><port isolated='yes'/>
<ip address='10.99.0.1' prefix='24'/>
<portgroup name='slow'><bandwidth><inbound average='100'/><outbound average='50'/></bandwidth></portgroup>
<portgroup name='plain'/></network>"""


def document(own, more=""):
    return (
        f"<networkport><uuid>{own}</uuid><owner><name>who</name><uuid>{OWNER}</uuid></owner>"
        f"<mac address='52:54:00:0a:0b:0c'/>{more}</networkport>"
    )


class Ports(world.Case):
    def setUp(self):
        self.conn = self.connect()
        self.net = self.conn.networkCreateXML(NETWORK)

    def tearDown(self):
        super().tearDown()
        with contextlib.closing(libvirt.open(world.URI)) as conn, contextlib.suppress(libvirt.libvirtError):
            conn.networkLookupByName("ports").destroy()

    def test_made_by_a_client(self):
        own = str(uuid.uuid4())
        port = self.net.portCreateXML(document(own, "<group>slow</group>"))
        self.assertEqual(port.UUIDString(), own)
        text = port.XMLDesc()
        for part in (
            f"<networkport>\n  <uuid>{own}</uuid>\n  <owner>\n    <name>who</name>\n    <uuid>{OWNER}</uuid>\n  </owner>\n",
            "  <group>slow</group>\n  <mac address='52:54:00:0a:0b:0c'/>\n",
            "    <inbound average='100'/>\n    <outbound average='50'/>\n",
            "  <port isolated='yes'/>\n",
            "  <plug type='network' bridge='virbr9'/>\n</networkport>\n",
        ):
            self.assertIn(part, text)
        self.assertEqual([each.UUIDString() for each in self.net.listAllPorts()], [own])
        self.assertEqual(self.net.portLookupByUUIDString(own).XMLDesc(), text)
        self.assertIn(own, virsh("net-port-list", "ports").out)
        with self.refused(libvirt.VIR_ERR_NETWORK_PORT_EXIST, f"Network port with UUID {own} already exists"):
            self.net.portCreateXML(document(own))
        port.delete()
        self.assertEqual(self.net.listAllPorts(), [])
        with self.refused(libvirt.VIR_ERR_NO_NETWORK_PORT, f"Network port with UUID {own} does not exist"):
            self.net.portLookupByUUIDString(own)

    def test_plugs(self):
        own = str(uuid.uuid4())
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "Port reclaim requested but plug type is none"):
            self.net.portCreateXML(document(own), libvirt.VIR_NETWORK_PORT_CREATE_RECLAIM)
        plugged = document(own, "<plug type='network' bridge='virbr9'/>")
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "Port reclaim not requested but plug type is not none"):
            self.net.portCreateXML(plugged)
        self.net.portCreateXML(plugged, libvirt.VIR_NETWORK_PORT_CREATE_RECLAIM).delete()

    def test_a_floor_is_promised_and_given_back(self):
        if world.run("tc", "qdisc", "add", "dev", "virbr9", "root", "handle", "1:", "htb", check=False).rc:
            self.skipTest("this kernel has no htb")
        own = str(uuid.uuid4())
        floor = "<bandwidth><inbound average='100' floor='{}'/></bandwidth>".format
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "network 'ports' has no inbound QoS set", origin=libvirt.VIR_FROM_NETWORK):
            self.net.portCreateXML(document(own, floor(300)))
        self.net.destroy()
        self.net = self.conn.networkCreateXML(NETWORK.replace("<bridge", "<bandwidth><inbound average='1000'/></bandwidth><bridge"))

        def classes():
            text = world.run("tc", "class", "show", "dev", "virbr9").out
            return {number: rate for number, rate in re.findall(r"class htb 1:(\w+) .*?rate (\S+) ", text)}

        self.assertEqual(classes(), {"1": "8Mbit", "2": "8Mbit"})
        port = self.net.portCreateXML(document(own, floor(300)))
        self.assertEqual(classes(), {"1": "8Mbit", "2": "5600Kbit", "3": "2400Kbit"})
        self.assertIn("<bandwidth classID='3'>", port.XMLDesc())
        self.assertIn("match 000a0b0c/ffffffff at -12", world.run("tc", "filter", "show", "dev", "virbr9").out)

        card = f"<interface type='network'><mac address='52:54:00:01:02:03'/><source network='ports'/>{floor(500)}</interface>"
        guest = self.conn.createXML(world.bare_xml("promised", devices=card))
        self.assertEqual(classes(), {"1": "8Mbit", "2": "1600Kbit", "3": "2400Kbit", "4": "4Mbit"})
        words = "Cannot plug '52:54:00:01:02:03' interface into 'virbr9' because new combined inbound floor=1001 would overcommit average=1000"
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, words, origin=libvirt.VIR_FROM_NETWORK):
            guest.setInterfaceParameters("52:54:00:01:02:03", {"inbound.average": 100, "inbound.floor": 701})
        guest.setInterfaceParameters("52:54:00:01:02:03", {"inbound.average": 100, "inbound.floor": 200})
        self.assertEqual(classes(), {"1": "8Mbit", "2": "4Mbit", "3": "2400Kbit", "4": "1600Kbit"})
        present = re.search(r"<interface .*?</interface>", guest.XMLDesc(), re.S).group()
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "new combined inbound floor=1001"):
            guest.updateDeviceFlags(present.replace("floor='200'", "floor='701'"))
        self.assertEqual(classes(), {"1": "8Mbit", "2": "4Mbit", "3": "2400Kbit", "4": "1600Kbit"})
        self.assertIn("floor='200'", guest.XMLDesc())
        guest.updateDeviceFlags(re.sub(r"<bandwidth>.*?</bandwidth>", "", present, flags=re.S))
        self.assertEqual(classes(), {"1": "8Mbit", "2": "5600Kbit", "3": "2400Kbit"})
        guest.updateDeviceFlags(present)
        self.assertEqual(classes(), {"1": "8Mbit", "2": "4Mbit", "3": "2400Kbit", "5": "1600Kbit"})
        world.daemon.restart(signal.SIGKILL)
        conn = self.connect()
        guest, net = conn.lookupByName("promised"), conn.networkLookupByName("ports")
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "new combined inbound floor=1001"):
            guest.setInterfaceParameters("52:54:00:01:02:03", {"inbound.average": 100, "inbound.floor": 701})
        net.portLookupByUUIDString(own).setParameters({"inbound.average": 100})
        self.assertEqual(classes(), {"1": "8Mbit", "2": "6400Kbit", "5": "1600Kbit"})
        with open("/run/libvirt/network/ports.xml") as file:
            self.assertIn("<class_id bitmap='0-2,5'/>\n  <floor sum='200'/>", file.read())
        guest.destroy()
        world.wait_for(lambda: classes() == {"1": "8Mbit", "2": "8Mbit"}, 10, "the promise is given back")

    def test_refusals(self):
        own = str(uuid.uuid4())
        for text, code in (
            ("<networkport/>", libvirt.VIR_ERR_INTERNAL_ERROR),
            (document("nonsense"), libvirt.VIR_ERR_INTERNAL_ERROR),
            (document(own).replace("52:54", "zz"), libvirt.VIR_ERR_INTERNAL_ERROR),
            (document(own, "<plug type='bridge'/>"), libvirt.VIR_ERR_XML_ERROR),
            (document(own, "<virtualport type='openvswitch'/>"), libvirt.VIR_ERR_CONFIG_UNSUPPORTED),
            ("<network/>", libvirt.VIR_ERR_XML_ERROR),
        ):
            with self.subTest(text), self.refused(code):
                self.net.portCreateXML(text)
        reader = self.connect(readonly=True).networkLookupByName("ports")
        with self.refused(libvirt.VIR_ERR_OPERATION_DENIED):
            reader.portCreateXML(document(own))

    def test_parameters(self):
        self.assertEqual(self.net.portCreateXML(document(str(uuid.uuid4()))).parameters(), {})
        port = self.net.portCreateXML(document(str(uuid.uuid4()), "<group>slow</group>"))
        port.setParameters({"inbound.average": 100, "inbound.peak": 200, "outbound.average": 50})
        self.assertEqual(
            port.parameters(),
            {
                "inbound.average": 100,
                "inbound.peak": 200,
                "inbound.floor": 0,
                "inbound.burst": 0,
                "outbound.average": 50,
                "outbound.peak": 0,
                "outbound.burst": 0,
            },
        )
        self.assertIn("<inbound average='100' peak='200'/>", port.XMLDesc())
        port.setParameters({"outbound.average": 0})
        self.assertEqual(port.parameters(), {})

    def test_restart_and_end(self):
        own = str(uuid.uuid4())
        self.net.portCreateXML(document(own, "<group>slow</group>"))
        self.assertTrue(os.path.exists(f"/run/libvirt/network/ports/ports/{own}.xml"))
        world.daemon.restart()
        net = self.connect().networkLookupByName("ports")
        self.assertIn("<group>slow</group>", net.portLookupByUUIDString(own).XMLDesc())
        net.destroy()
        self.assertFalse(os.path.exists(f"/run/libvirt/network/ports/ports/{own}.xml"))

    def test_of_a_guest(self):
        nic = "<interface type='network'><mac address='52:54:00:aa:bb:02'/><source network='ports' portgroup='plain'/></interface>"
        guest = self.conn.createXML(world.bare_xml("plugged", devices=nic))
        (port,) = self.net.listAllPorts()
        text = port.XMLDesc()
        for part in ("<name>plugged</name>", f"<uuid>{guest.UUIDString()}</uuid>", "<group>plain</group>", "<mac address='52:54:00:aa:bb:02'/>"):
            self.assertIn(part, text)
        self.assertIn("<plug type='network' bridge='virbr9'/>", text)
        self.assertIn(f"portid='{port.UUIDString()}'", guest.XMLDesc())
        self.assertIn("connections='1'", self.net.XMLDesc())
        if world.IS_LODGE:  # the peer lets an administrator cut the branch a guest sits on
            with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "in use by domain 'plugged'"):
                port.delete()
        guest.destroy()
        world.wait_for(lambda: not self.net.listAllPorts(), 10, "the port is gone")


if __name__ == "__main__":
    world.main()
