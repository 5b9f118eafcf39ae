#!/usr/bin/python3
"""Network filters: documents, the ones every host has, references, bindings, and what they do to a guest's packets."""

import contextlib
import os
import uuid

import libvirt
import world
from world import run, virsh

FOLDER = "/etc/libvirt/nwfilter"
SHIPPED = 24

BINDING = """<filterbinding>
  <owner><name>who</name><uuid>{owner}</uuid></owner>
  <portdev name='{port}'/>
  <mac address='52:54:00:00:00:01'/>
  <filterref filter='{name}'>{parameters}</filterref>
</filterbinding>"""
OWNER = "11111111-1111-4111-8111-111111111111"


def binding(port, name, parameters="", owner=OWNER):
    return BINDING.format(port=port, name=name, parameters=parameters, owner=owner)


def parameter(name, value):
    return f"<parameter name='{name}' value='{value}'/>"


def nft_table(port):
    return run("nft", "list", "table", "bridge", f"lodge_{port}", check=False)


class Filters(world.Case):
    def setUp(self):
        self.conn = self.connect()
        self.shipped = {each.name() for each in self.conn.listAllNWFilters()}

    def tearDown(self):
        super().tearDown()
        with contextlib.closing(libvirt.open(world.URI)) as conn:
            for each in conn.listAllNWFilterBindings():
                each.delete()
            for each in conn.listAllNWFilters():
                if each.name() not in self.shipped:
                    each.undefine()
        run("ip", "link", "del", "tapx", check=False)

    def define(self, name, inner="", attributes="", own=""):
        own = own and f"<uuid>{own}</uuid>"
        return self.conn.nwfilterDefineXML(f"<filter name='{name}' {attributes}>{own}{inner}</filter>")

    def test_every_host_has_them(self):
        self.assertEqual(len(self.shipped), SHIPPED)
        listed = virsh("nwfilter-list").out
        for name in ("clean-traffic", "no-arp-spoofing", "allow-dhcp-server", "qemu-announce-self-rarp"):
            self.assertIn(name, listed)
        text = self.conn.nwfilterLookupByName("no-ip-spoofing").XMLDesc()
        self.assertTrue(text.startswith("<filter name='no-ip-spoofing' chain='ipv4-ip' priority='-710'>\n  <uuid>"))
        self.assertIn("  <rule action='return' direction='out' priority='100'>\n    <ip srcipaddr='0.0.0.0' protocol='udp'/>\n  </rule>\n", text)
        order = [line.split("'")[1] for line in self.conn.nwfilterLookupByName("clean-traffic").XMLDesc().splitlines() if "filterref" in line]
        self.assertEqual(
            order,
            ["no-mac-spoofing", "no-ip-spoofing", "allow-incoming-ipv4", "no-arp-spoofing", "no-other-l2-traffic", "qemu-announce-self"],
        )

    def test_document_and_look_ups(self):
        made = self.define("own", "<rule action='drop' direction='in'><tcp dstportstart='0x50'/></rule><filterref filter='allow-arp'/>", "chain='root'")
        self.assertEqual(
            made.XMLDesc(),
            f"<filter name='own' chain='root'>\n  <uuid>{made.UUIDString()}</uuid>\n"
            "  <rule action='drop' direction='in' priority='500'>\n    <tcp dstportstart='0x50'/>\n  </rule>\n"
            "  <filterref filter='allow-arp'/>\n</filter>\n",
        )
        self.assertEqual(self.conn.nwfilterLookupByUUIDString(made.UUIDString()).name(), "own")
        self.assertEqual(self.conn.numOfNWFilters(), SHIPPED + 1)
        self.assertIn("own", self.conn.listNWFilters())
        self.assertTrue(os.path.exists(f"{FOLDER}/own.xml"))
        # The same name and UUID is a new version of it; one without the other is a conflict.
        self.define("own", "", "chain='mac'", made.UUIDString())
        self.assertIn("priority='-800'", made.XMLDesc())
        with self.refused(libvirt.VIR_ERR_OPERATION_FAILED, "filter 'own' already exists with uuid " + made.UUIDString()):
            self.define("own")
        with self.refused(libvirt.VIR_ERR_OPERATION_FAILED, "filter with same UUID but different name ('own') already exists"):
            self.define("other", own=made.UUIDString())
        made.undefine()
        self.assertFalse(os.path.exists(f"{FOLDER}/own.xml"))
        with self.refused(libvirt.VIR_ERR_NO_NWFILTER, "no nwfilter with matching name 'own'"):
            self.conn.nwfilterLookupByName("own")
        with self.refused(libvirt.VIR_ERR_NO_NWFILTER, "no nwfilter with matching uuid"):
            self.conn.nwfilterLookupByUUIDString(str(uuid.uuid4()))

    def test_loops(self):
        one = self.define("one", "<filterref filter='two'/>")
        with self.refused(libvirt.VIR_ERR_OPERATION_FAILED, "filter would introduce a loop"):
            self.define("two", "<filterref filter='one'/>")
        with self.refused(libvirt.VIR_ERR_OPERATION_FAILED, "filter would introduce a loop"):
            self.define("one", "<filterref filter='one'/>", own=one.UUIDString())

    def test_refusals(self):
        for text, code in (
            ("<filter/>", libvirt.VIR_ERR_INTERNAL_ERROR),
            ("<filter name='x' chain='tcp'/>", libvirt.VIR_ERR_INVALID_ARG),
            ("<filter name='x' priority='9999'/>", libvirt.VIR_ERR_INVALID_ARG),
            ("<filter name='x'><rule action='drop' direction='up'/></filter>", libvirt.VIR_ERR_CONFIG_UNSUPPORTED),
            ("<filter name='x'><rule action='drop' direction='in'><ip srcipaddr='x'/></rule></filter>", libvirt.VIR_ERR_INTERNAL_ERROR),
            ("<filter name='x'>", libvirt.VIR_ERR_XML_DETAIL),
            ("<network/>", libvirt.VIR_ERR_XML_ERROR),
        ):
            with self.subTest(text), self.refused(code) as caught:
                self.conn.nwfilterDefineXML(text)
            if code not in (libvirt.VIR_ERR_XML_ERROR,):
                self.assertEqual(caught.exception.get_error_domain(), libvirt.VIR_FROM_NWFILTER)
        reader = self.connect(readonly=True)
        with self.refused(libvirt.VIR_ERR_OPERATION_DENIED):
            reader.nwfilterDefineXML("<filter name='x'/>")

    def test_restart(self):
        made = self.define("kept", "<rule action='drop' direction='in'/>")
        text = made.XMLDesc()
        with open(f"{FOLDER}/by-hand.xml", "w") as f:
            f.write("<filter name='by-hand'><rule action='accept' direction='out'/></filter>")
        world.daemon.restart()
        self.conn = self.connect()
        self.assertEqual(self.conn.nwfilterLookupByName("kept").XMLDesc(), text)
        own = self.conn.nwfilterLookupByName("by-hand").UUIDString()
        with open(f"{FOLDER}/by-hand.xml") as f:
            self.assertIn(own, f.read())

    def test_bindings_without_an_interface(self):
        made = self.conn.nwfilterBindingCreateXML(binding("nowhere0", "clean-traffic", parameter("IP", "10.0.0.5")))
        self.assertEqual((made.portDev(), made.filterName()), ("nowhere0", "clean-traffic"))
        self.assertEqual(
            made.XMLDesc(),
            f"<filterbinding>\n  <owner>\n    <name>who</name>\n    <uuid>{OWNER}</uuid>\n  </owner>\n"
            "  <portdev name='nowhere0'/>\n  <mac address='52:54:00:00:00:01'/>\n  <filterref filter='clean-traffic'>\n"
            "    <parameter name='IP' value='10.0.0.5'/>\n  </filterref>\n</filterbinding>\n",
        )
        self.assertIn("nowhere0", virsh("nwfilter-binding-list").out)
        with self.refused(libvirt.VIR_ERR_OPERATION_FAILED, "binding 'nowhere0' already exists"):
            self.conn.nwfilterBindingCreateXML(binding("nowhere0", "clean-traffic"))
        for broken in ("<portdev name='nowhere0'/>", "<mac address='52:54:00:00:00:01'/>", "<name>who</name>"):
            with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR):
                self.conn.nwfilterBindingCreateXML(binding("nowhere0", "x").replace(broken, ""))
        world.daemon.restart()
        self.conn = self.connect()
        made = self.conn.nwfilterBindingLookupByPortDev("nowhere0")
        made.delete()
        with self.refused(libvirt.VIR_ERR_NO_NWFILTER_BINDING, "no nwfilter binding for port dev 'nowhere0'"):
            self.conn.nwfilterBindingLookupByPortDev("nowhere0")

    def test_bindings_of_an_interface(self):
        run("ip", "tuntap", "add", "tapx", "mode", "tap")
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "referenced filter 'nothing' is missing"):
            self.conn.nwfilterBindingCreateXML(binding("tapx", "nothing"))
        self.define("needs", "<rule action='drop' direction='out'><ip srcipaddr='$SOMETHING'/></rule>")
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "SOMETHING"):
            self.conn.nwfilterBindingCreateXML(binding("tapx", "needs"))
        self.assertEqual(self.conn.listAllNWFilterBindings(), [])

        used = self.define("used", "<rule action='drop' direction='out'><ip srcipaddr='$IP'/></rule>", "chain='ipv4'")
        outer = self.define("outer", "<filterref filter='used'/>")
        made = self.conn.nwfilterBindingCreateXML(binding("tapx", "outer", parameter("IP", "10.0.0.5") + parameter("IP", "10.0.0.6")))
        self.assertIn(parameter("MAC", "52:54:00:00:00:01"), made.XMLDesc())
        for each in (used, outer):
            with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "nwfilter is in use"):
                each.undefine()
        # A change must suit those who use it.
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "SOMETHING"):
            self.define("used", "<rule action='drop' direction='out'><ip srcipaddr='$SOMETHING'/></rule>", own=used.UUIDString())
        self.assertIn("$IP", used.XMLDesc())
        made.delete()
        used.undefine()

    @world.only_lodge
    def test_rules_of_the_packet_filter(self):
        run("ip", "tuntap", "add", "tapx", "mode", "tap")
        used = self.define("used", "<rule action='drop' direction='out'><ip srcipaddr='$IP'/></rule>", "chain='ipv4'")
        made = self.conn.nwfilterBindingCreateXML(binding("tapx", "used", parameter("IP", "10.0.0.5") + parameter("IP", "10.0.0.6")))
        for address in ("10.0.0.5", "10.0.0.6"):
            self.assertIn(f"ip saddr {address} drop", nft_table("tapx").out)
        self.define("used", "<rule action='drop' direction='out'><ip dstipaddr='$IP'/></rule>", "chain='ipv4'", used.UUIDString())
        self.assertIn("ip daddr 10.0.0.5 drop", nft_table("tapx").out)
        self.assertNotIn("saddr", nft_table("tapx").out)
        # Flushed by somebody else, it is back after a restart.
        run("nft", "flush", "ruleset")
        world.daemon.restart()
        self.conn = self.connect()
        self.assertIn("ip daddr 10.0.0.6 drop", nft_table("tapx").out)
        self.conn.nwfilterBindingLookupByPortDev("tapx").delete()
        self.assertNotEqual(nft_table("tapx").rc, 0)


class Guests(world.Case):
    """A guest that may only be what it is."""

    FILTERED = (
        "<interface type='network'><mac address='52:54:00:aa:bb:01'/><source network='default'/><model type='virtio'/>"
        "<filterref filter='{name}'>{parameters}</filterref></interface>"
    )

    def setUp(self):
        world.default_network()
        self.conn = self.connect()

    def start(self, name, parameters="", flags=0):
        devices = self.FILTERED.format(name=name, parameters=parameters)
        return self.conn.createXML(world.guest_xml("filtered", nics=0, devices=devices), flags)

    def test_a_guest_has_a_binding_while_it_runs(self):
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "referenced filter 'nothing' is missing"):
            self.start("nothing")
        self.assertEqual(self.conn.listAllNWFilterBindings(), [])
        guest = self.start("no-mac-spoofing")
        (made,) = self.conn.listAllNWFilterBindings()
        self.assertEqual(made.filterName(), "no-mac-spoofing")
        self.assertIn("<name>filtered</name>", made.XMLDesc())
        port = made.portDev()
        world.daemon.restart()
        self.conn = self.connect()
        self.assertEqual([each.portDev() for each in self.conn.listAllNWFilterBindings()], [port])
        guest = self.conn.lookupByName("filtered")
        guest.destroy()
        world.wait_for(lambda: not self.conn.listAllNWFilterBindings(), 10, "the binding is gone")
        if world.IS_LODGE:
            self.assertNotEqual(nft_table(port).rc, 0)

    @world.only_lodge  # libvirtd lets everything pass while it watches for the guest's address
    def gets_through(self, console, source):
        """Whether the guest reaches its host from this address: asked again, as any packet may be lost while neighbours get to know each other."""
        return console.shell(f"for i in 1 2 3 4 5 6; do ping -c 2 -W 5 -I {source} 192.168.122.1 && break; done", 60)[1] == 0

    def circumstances(self, console):
        guest = console.shell("ip addr show eth0; ip neigh; ip route")[0]
        return f"{guest}\n{world.run('nft', 'list', 'ruleset').out}\n{world.run('ip', 'neigh').out}"

    def test_clean_traffic(self):
        guest = self.start("clean-traffic", flags=libvirt.VIR_DOMAIN_START_PAUSED)
        console = world.Console("filtered")
        try:
            console.expect("Escape character is", 60)
            guest.resume()
            own = console.address()
            console.send("\n")
            self.assertTrue(self.gets_through(console, own), "its own address does not get through: " + self.circumstances(console))
            console.shell("ip addr add 192.168.122.250/24 dev eth0")
            _, status = console.shell("ping -c 1 -W 2 -I 192.168.122.250 192.168.122.1", 60)
            self.assertNotEqual(status, 0, "a foreign IP address got through: " + self.circumstances(console))
            # The foreign address has asked for the neighbour in vain; until that question is given up, nobody else's packets go out.
            self.assertTrue(self.gets_through(console, own), "its own address is lost: " + self.circumstances(console))
            console.shell("ip link set eth0 down; ip link set eth0 address 52:54:00:aa:bb:99; ip link set eth0 up")
            _, status = console.shell("ping -c 1 -W 2 192.168.122.1", 60)
            self.assertNotEqual(status, 0, "a foreign MAC address got through: " + self.circumstances(console))
        finally:
            console.close()


if __name__ == "__main__":
    world.main()
