#!/usr/bin/python3
"""What of a device may become another, one attribute after the other, in a running guest and in a stored document.

device_update.tsv: in which of them, which device of device_update.xml, what to replace by what, and libvirtd's answer as
domain:code:text (nothing where it accepts). LODGE_PEER=libvirtd proves the table.
"""

import os
import re

import libvirt

import world

HERE = os.path.dirname(os.path.realpath(__file__))
REACH = {"live": libvirt.VIR_DOMAIN_AFFECT_LIVE, "config": libvirt.VIR_DOMAIN_AFFECT_CONFIG}


def read(name):
    with open(f"{HERE}/{name}") as file:
        return file.read()


class Updates(world.Case):
    document = read("device_update.xml")
    devices = dict(re.findall(r"<!-- (\w+) -->\n(.*?)(?=\n *<!-- )", document, re.S))

    def setUp(self):
        for name in ("a.img", "b.img", "c.img", "d.img", "x.iso", "y.iso"):
            with open(f"{world.IMAGES}/{name}", "wb") as image:
                image.truncate(1 << 20)
        world.default_network()
        self.conn = self.connect()

    def fresh(self, reach):
        """The domain as it was, and its document."""
        if any(dom.name() == "updated" for dom in self.conn.listAllDomains()):
            old = self.conn.lookupByName("updated")
            if old.isActive():
                old.destroy()
            old.undefine()
        self.dom = self.conn.defineXML(self.document)
        if reach == "live":
            self.dom.create()
        return self.shown(reach)

    def shown(self, reach):
        return self.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE | (0 if reach == "live" else libvirt.VIR_DOMAIN_XML_INACTIVE))

    def answer(self, device, reach):
        try:
            self.dom.updateDeviceFlags(device, REACH[reach])
        except libvirt.libvirtError as error:
            return f"{error.get_error_domain()}:{error.get_error_code()}:{error}"
        return ""

    def walk(self, reach):
        clean = self.fresh(reach)
        rows = [row for row in (line.split("\t") for line in read("device_update.tsv").splitlines()) if row[0] == reach]
        self.assertGreater(len(rows), 150)
        for _, name, old, new, expected in rows:
            old, new = (part.replace("\\n", "\n") for part in (old, new))
            with self.subTest(device=name, old=old, new=new):
                self.assertIn(old, self.devices[name])
                self.assertEqual(self.answer(self.devices[name].replace(old, new, 1), reach), expected)
                if expected:
                    self.assertEqual(self.shown(reach), clean)
            if self.shown(reach) != clean:
                clean = self.fresh(reach)

    def test_running_guests(self):
        self.walk("live")

    def test_stored_documents(self):
        self.walk("config")


if __name__ == "__main__":
    world.main()
