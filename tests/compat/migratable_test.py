#!/usr/bin/python3
"""Documents for other hosts (VIR_DOMAIN_XML_MIGRATABLE), and with the CPU that the host makes of a wish (…_UPDATE_CPU)."""

import os
import re
import xml.etree.ElementTree as ET

import libvirt

import world

MIGRATABLE = libvirt.VIR_DOMAIN_XML_MIGRATABLE
INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE
UPDATE_CPU = libvirt.VIR_DOMAIN_XML_UPDATE_CPU
CPU = "<cpu mode='custom' match='exact' check='partial'><model fallback='forbid'>qemu64</model></cpu>"
CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
IMAGE = "/var/lib/libvirt/images/migratable.save"


def elements(document):
    """What a document has under <devices>, each as its attributes tell it."""
    return [(e.tag, e.get("type"), e.get("model"), e.get("bus")) for e in ET.fromstring(document).find("devices")]


def cpu(document):
    return re.search(r"<cpu .*?(?:/>|</cpu>)", document, re.S).group(0)


class Migratable(world.Case):
    def setUp(self):
        self.conn = self.connect()

    def define(self, extra="", devices="", start=True):
        self.dom = self.conn.defineXML(world.bare_xml("goer", extra=extra, devices=devices))
        if start:
            self.dom.create()
        return self.dom

    def test_what_every_guest_gets_is_left_out(self):
        dom = self.define(devices=CHANNEL, start=False)
        for running in (False, True):
            with self.subTest(running=running):
                if running:
                    dom.create()
                all_of_it, left = elements(dom.XMLDesc()), elements(dom.XMLDesc(MIGRATABLE))
                for default in (
                    ("controller", "usb", "piix3-uhci", None),
                    ("controller", "pci", "pci-root", None),
                    ("input", "keyboard", None, "ps2"),
                    ("audio", "none", None, None),
                ):
                    self.assertIn(default, all_of_it)
                    self.assertNotIn(default, left)
                self.assertIn(("input", "mouse", None, "ps2"), left)
                self.assertNotIn("<source", dom.XMLDesc(MIGRATABLE))
                self.assertNotIn("<alias", dom.XMLDesc(MIGRATABLE))

    def test_what_was_chosen_stays(self):
        dom = self.define(
            devices="<controller type='usb' index='0' model='piix3-uhci'><alias name='ua-mine'/></controller>"
            "<controller type='pci' index='0' model='pci-root'><pcihole64 unit='KiB'>1048576</pcihole64></controller>"
            "<channel type='unix'><source mode='bind' path='/run/mine.sock'/><target type='virtio' name='mine'/></channel>"
        )
        document = dom.XMLDesc(MIGRATABLE)
        for part in ("<alias name='ua-mine'/>", "<pcihole64", "/run/mine.sock"):
            self.assertIn(part, document)
        self.assertIn(("controller", "usb", "piix3-uhci", None), elements(document))

    def test_passwords_go_along(self):
        dom = self.define(devices="<graphics type='vnc' autoport='yes' passwd='secret'/>", start=False)
        self.assertNotIn("secret", dom.XMLDesc())
        self.assertIn("passwd='secret'", dom.XMLDesc(MIGRATABLE))
        with self.refused(libvirt.VIR_ERR_OPERATION_DENIED):
            self.connect(readonly=True).lookupByName("goer").XMLDesc(MIGRATABLE)

    def test_what_the_host_chose_for_a_display(self):
        dom = self.define(devices="<graphics type='vnc' autoport='yes'/><graphics type='spice' autoport='yes' listen='127.0.0.1'/>")
        document = dom.XMLDesc(MIGRATABLE)
        self.assertRegex(document, r"<graphics type='vnc' port='-1' autoport='yes'>\s*<listen type='address'/>")
        self.assertRegex(document, r"<graphics type='spice' autoport='yes' listen='127.0.0.1'>\s*<listen type='address' address='127.0.0.1'/>")
        self.assertNotIn("<audio", document)

    def test_the_cpu_that_was_asked_for(self):
        dom = self.define(extra=CPU)
        self.assertIn("check='full'", cpu(dom.XMLDesc()))
        asked = cpu(dom.XMLDesc(MIGRATABLE))
        self.assertIn("check='partial'", asked)
        self.assertNotIn("<feature", asked)
        world.daemon.restart()
        self.conn = self.connect()
        dom = self.conn.lookupByName("goer")
        self.assertEqual(cpu(dom.XMLDesc(MIGRATABLE)), asked)
        dom.save(IMAGE)
        self.addCleanup(os.unlink, IMAGE)
        self.assertEqual(cpu(self.conn.saveImageGetXMLDesc(IMAGE)), asked)
        self.conn.restore(IMAGE)
        dom = self.conn.lookupByName("goer")
        self.assertEqual(cpu(dom.XMLDesc(MIGRATABLE)), asked)
        self.assertIn("check='full'", cpu(dom.XMLDesc()))

    def test_of_the_definition(self):
        dom = self.define(extra=CPU)
        dom.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "later", None, None, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        self.assertNotIn("later", dom.XMLDesc(MIGRATABLE))
        self.assertIn("later", dom.XMLDesc(MIGRATABLE | INACTIVE))

    def test_update_cpu(self):
        dom = self.define(extra="<cpu mode='host-model'/>", start=False)
        self.assertIn("mode='host-model'", cpu(dom.XMLDesc()))
        for flags in (UPDATE_CPU, UPDATE_CPU | MIGRATABLE):
            self.assertIn("mode='custom'", cpu(dom.XMLDesc(flags)))
        dom.undefine()
        plain = self.define(extra=CPU, start=False)
        self.assertEqual(cpu(plain.XMLDesc(UPDATE_CPU)), cpu(plain.XMLDesc()))


if __name__ == "__main__":
    world.main()
