#!/usr/bin/python3
"""What may change in the document of a guest that goes on: snapshots described anew, saved guests with another document.

abi.tsv changes one thing after the other in abi.xml: what to replace, by what, and libvirtd's answer as domain:code:text
(nothing where it accepts). LODGE_PEER=libvirtd proves the table.
"""

import contextlib
import os
import unittest

import libvirt
import world

HERE = os.path.dirname(os.path.realpath(__file__))
UUID = "c7a5fdbd-edaf-9455-926a-d65c16db1809"
REDEFINE = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
FILE = "/var/lib/libvirt/save-me"


def read(name):
    with open(f"{HERE}/{name}") as file:
        return file.read()


def answer(call, *args):
    try:
        call(*args)
    except libvirt.libvirtError as error:
        return f"{error.get_error_domain()}:{error.get_error_code()}:{error}"
    return ""


class RedefinedSnapshots(world.Case):
    def setUp(self):
        self.conn = self.connect()
        self.dom = self.conn.defineXML(world.bare_xml("abi").replace("<memory", f"<uuid>{UUID}</uuid><memory"))

    def redefine(self, document):
        text = f"<domainsnapshot><name>s</name><state>shutoff</state><creationTime>1</creationTime>{document}</domainsnapshot>"
        return answer(self.dom.snapshotCreateXML, text, REDEFINE)

    def forget(self):
        with contextlib.suppress(libvirt.libvirtError):
            self.dom.snapshotLookupByName("s").delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)

    def tearDown(self):
        self.forget()
        super().tearDown()

    def test_each_change(self):
        before = read("abi.xml")
        rows = [line.split("\t") for line in read("abi.tsv").splitlines()]
        self.assertGreater(len(rows), 200)
        for old, new, expected in rows:
            old, new = (part.replace("\\n", "\n") for part in (old, new))
            with self.subTest(old=old, new=new):
                self.assertIn(old, before)
                self.forget()
                self.assertEqual(self.redefine(before), "")
                self.assertEqual(self.redefine(before.replace(old, new, 1)), expected)

    def test_a_refused_one_changes_nothing(self):
        before = read("abi.xml")
        self.assertEqual(self.redefine(before), "")
        kept = self.dom.snapshotLookupByName("s").getXMLDesc()
        self.assertNotEqual(self.redefine(before.replace("<serial>S1</serial>", "")), "")
        self.assertEqual(self.dom.snapshotLookupByName("s").getXMLDesc(), kept)


class SavedGuests(world.Case):
    """A guest that runs or is saved takes another document where it does not see the difference."""

    DEVICES = (
        "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/var/lib/libvirt/images/abi.img'/>"
        "<target dev='vda' bus='virtio'/><serial>one</serial></disk>"
        "<interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>"
    )
    CHANGES = {
        "<serial>one<": ("<serial>two<", "Target disk serial two does not match source one"),
        "00:00:01'": ("00:00:02'", "Target network card mac 52:54:00:00:00:02 does not match source 52:54:00:00:00:01"),
        "<name>kept<": ("<name>other<", "Target domain name 'other' does not match source 'kept'"),
        "dev='vda'": ("dev='vdb'", "Target disk vdb does not match source vda"),
        "<memory unit='KiB'>32768<": ("<memory unit='KiB'>40960<", "Target domain max memory 40960 does not match source 32768"),
    }

    def setUp(self):
        with open("/var/lib/libvirt/images/abi.img", "wb") as image:
            image.truncate(1 << 20)
        self.conn = self.connect()
        self.dom = self.conn.defineXML(world.bare_xml("kept", memory=32, devices=self.DEVICES))
        self.dom.create()

    def tearDown(self):
        super().tearDown()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(FILE)

    def each_refused(self, document, call):
        for old, (new, text) in self.CHANGES.items():
            self.assertIn(old, document)
            with self.subTest(new=new):
                expected = f"{libvirt.VIR_FROM_DOMAIN}:{libvirt.VIR_ERR_CONFIG_UNSUPPORTED}:unsupported configuration: {text}"
                self.assertEqual(answer(call, document.replace(old, new)), expected)

    def test_save_with_a_document(self):
        document = self.dom.XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE | libvirt.VIR_DOMAIN_XML_SECURE)
        self.each_refused(document, lambda changed: self.dom.saveFlags(FILE, changed))
        self.assertEqual(self.dom.state()[0], libvirt.VIR_DOMAIN_RUNNING)
        self.assertFalse(os.path.exists(FILE))
        # How much the balloon leaves to the guest, and what only people see, is not looked at.
        smaller = document.replace("<currentMemory unit='KiB'>32768<", "<currentMemory unit='KiB'>30000<")
        self.dom.saveFlags(FILE, smaller.replace("</uuid>", "</uuid><title>saved</title>"))
        self.assertIn("<title>saved</title>", self.conn.saveImageGetXMLDesc(FILE))

    def test_another_document_for_an_image(self):
        self.dom.save(FILE)
        document = self.conn.saveImageGetXMLDesc(FILE)
        self.each_refused(document, lambda changed: self.conn.saveImageDefineXML(FILE, changed))
        self.each_refused(document, lambda changed: self.conn.restoreFlags(FILE, changed))
        self.assertEqual(self.conn.saveImageGetXMLDesc(FILE), document)
        self.assertEqual(
            answer(self.conn.saveImageDefineXML, FILE, document.replace("<currentMemory unit='KiB'>32768<", "<currentMemory unit='KiB'>30000<")),
            f"{libvirt.VIR_FROM_DOMAIN}:{libvirt.VIR_ERR_CONFIG_UNSUPPORTED}:unsupported configuration: "
            "Target domain current memory 30000 does not match source 32768",
        )
        self.conn.saveImageDefineXML(FILE, document.replace("</uuid>", "</uuid><title>another</title>"))
        self.conn.restore(FILE)
        self.assertEqual(self.dom.state()[0], libvirt.VIR_DOMAIN_RUNNING)
        self.assertIn("<title>another</title>", self.dom.XMLDesc())

    def test_managed_save(self):
        self.dom.managedSave()
        document = self.dom.managedSaveGetXMLDesc()
        self.each_refused(document, self.dom.managedSaveDefineXML)
        self.dom.managedSaveDefineXML(document.replace("</uuid>", "</uuid><title>another</title>"))
        self.dom.create()
        self.assertIn("<title>another</title>", self.dom.XMLDesc())


if __name__ == "__main__":
    world.main()
