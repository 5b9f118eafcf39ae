#!/usr/bin/python3
"""As whom a guest runs, who owns its images meanwhile, and where its control group stands: <seclabel> and <resource>."""

import glob
import os
import re
import unittest
import xml.etree.ElementTree as ET

import libvirt
import world

STRANGER = 4321  # no account of this host has that number


def owner(path):
    return os.stat(path).st_uid


def qemu_user(name):
    with open(f"/proc/{world.qemu_pid(name)}/status") as f:
        return int(re.search(r"^Uid:\s+(\d+)", f.read(), re.M).group(1))


class Security(world.Case):
    def setUp(self):
        self.conn = self.connect()
        self.image = f"{world.IMAGES}/label.img"
        with open(self.image, "wb") as f:
            f.truncate(1 << 20)
        os.chmod(self.image, 0o666)
        self.addCleanup(os.unlink, self.image)

    def start(self, name, label="", source="", extra=""):
        disk = (f"<disk type='file'><source file='{self.image}'>{source}</source><target dev='vda' bus='virtio'/></disk>")
        dom = self.conn.defineXML(world.bare_xml(name, extra=extra, devices=disk).replace("</devices>", f"</devices>{label}"))
        dom.create()
        return dom

    def label_of(self, dom, flags=0):
        return ET.fromstring(dom.XMLDesc(flags)).find("seclabel[@model='dac']")

    def test_a_running_guest_shows_its_label(self):
        dom = self.start("plain")
        label = self.label_of(dom)
        self.assertEqual((label.get("type"), label.get("relabel")), ("dynamic", "yes"))
        user = qemu_user("plain")
        self.assertRegex(label.findtext("label"), rf"^\+{user}:\+\d+$")
        self.assertEqual(label.findtext("imagelabel"), label.findtext("label"))
        self.assertEqual(owner(self.image), user)
        self.assertIsNone(self.label_of(dom, libvirt.VIR_DOMAIN_XML_INACTIVE))
        self.assertIsNone(self.label_of(dom, libvirt.VIR_DOMAIN_XML_MIGRATABLE))

    def test_a_live_document_defines_a_guest_without_numbers(self):
        dom = self.start("again")
        self.conn.defineXML(dom.XMLDesc())
        label = self.label_of(dom, libvirt.VIR_DOMAIN_XML_INACTIVE)
        self.assertEqual((label.attrib, list(label)), ({"type": "dynamic", "model": "dac", "relabel": "yes"}, []))

    @world.only_lodge  # its QEMU may not enter libvirtd's own folder here
    def test_a_fixed_account(self):
        before = owner(self.image)
        dom = self.start("fixed", f"<seclabel type='static' model='dac' relabel='yes'><label>+{STRANGER}:kvm</label></seclabel>")
        self.assertEqual(qemu_user("fixed"), STRANGER)
        self.assertEqual(owner(self.image), STRANGER)
        self.assertEqual(self.label_of(dom).findtext("imagelabel"), f"+{STRANGER}:kvm")
        dom.destroy()
        dom.create()
        dom.destroy()
        world.wait_for(lambda: owner(self.image) == before, what="the image's owner")
        dom.create()

    def test_images_that_stay_as_they_are(self):
        before = owner(self.image)
        self.start("own", "<seclabel type='static' model='dac' relabel='no'><label>libvirt-qemu:kvm</label></seclabel>")
        self.assertEqual(owner(self.image), before)

    def test_one_source_that_stays_as_it_is(self):
        before = owner(self.image)
        self.start("source", source="<seclabel model='dac' relabel='no'/>")
        self.assertEqual(owner(self.image), before)

    def test_one_source_that_is_somebody_elses(self):
        self.start("other", source=f"<seclabel model='dac' relabel='yes'><label>+{STRANGER}:kvm</label></seclabel>")
        self.assertEqual(owner(self.image), STRANGER)

    def test_an_account_that_there_is_not(self):
        before = owner(self.image)
        dom = self.conn.defineXML(world.bare_xml("nobody").replace(
            "</devices>", "</devices><seclabel type='static' model='dac'><label>nosuchuser:kvm</label></seclabel>"))
        with self.assertRaisesRegex(libvirt.libvirtError, "nosuchuser") as caught:
            dom.create()
        self.assertEqual(caught.exception.get_error_code(), libvirt.VIR_ERR_INVALID_ARG)
        self.assertEqual(owner(self.image), before)

    @unittest.skipUnless(os.path.isdir("/sys/fs/cgroup"), "no control groups here")
    def test_the_place_of_a_guests_group(self):
        dom = self.start("group")
        self.assertEqual(ET.fromstring(dom.XMLDesc()).findtext("resource/partition"), "/machine")
        self.assertIsNone(ET.fromstring(dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).find("resource"))

    @world.only_lodge  # it makes no group but /machine by itself
    def test_a_group_of_its_own(self):
        dom = self.start("tenant", extra="<resource><partition>/machine/tenants</partition></resource>")
        found = (glob.glob("/sys/fs/cgroup/machine/tenants.partition/qemu-*-tenant.libvirt-qemu") or
                 glob.glob("/sys/fs/cgroup/*/machine/tenants.partition/qemu-*-tenant.libvirt-qemu"))
        self.assertTrue(found)
        with open(f"{found[0]}/cgroup.procs") as f:
            self.assertIn(world.qemu_pid("tenant"), [int(line) for line in f])
        dom.destroy()
        self.assertFalse(os.path.exists(found[0]))
        dom.create()


if __name__ == "__main__":
    world.main()
