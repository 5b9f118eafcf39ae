#!/usr/bin/python3
"""How many CPUs and how much memory a guest has, while it runs and when it starts next."""

import os
import re
import unittest
import xml.etree.ElementTree as ET

import libvirt
import world
from world import virsh, wait_for

LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG
MAXIMUM = libvirt.VIR_DOMAIN_VCPU_MAXIMUM
BALLOON = "<memballoon model='virtio'/>"


def with_cpus(xml, maximum, current):
    xml = re.sub(r"\s*<vcpu>1</vcpu>", "", xml)
    return xml.replace("</memory>", f"</memory><vcpu current='{current}'>{maximum}</vcpu>", 1)


class Vcpus(world.Case):
    def setUp(self):
        self.conn = self.connect()

    def bare(self, name, maximum=4, current=1, start=True, **more):
        dom = self.conn.defineXML(with_cpus(world.bare_xml(name, **more), maximum, current))
        if start:
            dom.create()
        return dom

    def vcpus(self, dom, flags=0):
        return [
            (v.get("id"), v.get("enabled"), v.get("hotpluggable"), v.get("order"))
            for v in ET.fromstring(dom.XMLDesc(flags)).findall("vcpus/vcpu")
        ]

    def test_a_guest_sees_cpus_come(self):
        dom = self.conn.defineXML(with_cpus(world.guest_xml("growing", nics=0, machine="pc"), 3, 1))
        dom.create()
        console = world.Console("growing")
        self.addCleanup(console.close)
        console.expect("GUEST-CPUS 1", 120)
        dom.setVcpusFlags(3, LIVE)
        console.shell("while [ ! -e /sys/devices/system/cpu/cpu2 ]; do sleep 0.1; done", 60)
        self.assertEqual(dom.vcpusFlags(LIVE), 3)
        self.assertEqual(dom.vcpusFlags(CONFIG), 1)
        self.assertEqual([v[1] for v in self.vcpus(dom)], ["yes"] * 3)
        self.assertEqual(len(dom.vcpus()[0]), 3)

    @unittest.skipUnless(world.IS_LODGE, "libvirt's QEMU reads a snapshot before its CPUs are back, and cannot")
    def test_a_snapshot_brings_back_cpus_that_came_later(self):
        disk = f"{world.IMAGES}/grown.qcow2"
        world.run("qemu-img", "create", "-f", "qcow2", disk, "8M")
        os.chmod(disk, 0o666)
        dom = self.conn.defineXML(with_cpus(world.guest_xml("grown", nics=0, machine="pc", disks=[(disk, "qcow2")]), 3, 1))
        dom.create()
        console = world.Console("grown")
        console.expect("GUEST-CPUS 1", 120)
        dom.setVcpusFlags(2, LIVE)
        console.shell("while [ ! -e /sys/devices/system/cpu/cpu1 ]; do sleep 0.1; done", 60)
        snapshot = dom.snapshotCreateXML("<domainsnapshot><name>two</name></domainsnapshot>")
        for running in (True, False):
            with self.subTest(running=running):
                console.close()
                if not running:
                    dom.destroy()
                dom.revertToSnapshot(snapshot)
                self.assertEqual(dom.vcpusFlags(LIVE), 2)
                console = world.Console("grown", "--force")
                console.expect("GUEST-TICK", 60)
                self.assertEqual(console.shell("ls -d /sys/devices/system/cpu/cpu1", 60)[1], 0)
        console.close()
        dom.destroy()
        snapshot.delete()

    def test_by_count(self):
        dom = self.bare("counted")
        dom.setVcpusFlags(2, LIVE | CONFIG)
        self.assertEqual((dom.vcpusFlags(LIVE), dom.vcpusFlags(CONFIG)), (2, 2))
        self.assertEqual(
            self.vcpus(dom), [("0", "yes", "no", "1"), ("1", "yes", "yes", "2"), ("2", "no", "yes", None), ("3", "no", "yes", None)]
        )
        self.assertIn("vcpu1", virsh("qemu-monitor-command", "counted", "--hmp", "info qom-tree /machine/peripheral").out)
        dom.setVcpusFlags(6, CONFIG | MAXIMUM)
        self.assertEqual(dom.vcpusFlags(CONFIG | MAXIMUM), 6)
        self.assertEqual(dom.maxVcpus(), 4)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "greater than max allowable vcpus for the live domain: 5 > 4"):
            dom.setVcpusFlags(5, LIVE)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "greater than max allowable vcpus for the persistent domain: 7 > 6"):
            dom.setVcpusFlags(7, CONFIG)
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "maximum vcpu count of a live domain can't be modified"):
            dom.setVcpusFlags(3, LIVE | CONFIG | MAXIMUM)
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "failed to find appropriate hotpluggable vcpus"):
            self.bare("whole", 2, 2).setVcpusFlags(1, LIVE)

    def test_by_map(self):
        dom = self.bare("mapped")
        dom.setVcpu("2", 1, LIVE)
        self.assertEqual([v[1] for v in self.vcpus(dom)], ["yes", "no", "yes", "no"])
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "vcpu '2' is already in requested state"):
            dom.setVcpu("2", 1, LIVE)
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "only one hotpluggable entity can be selected"):
            dom.setVcpu("1,3", 1, LIVE)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "vcpu 4 is not present in live config"):
            dom.setVcpu("4", 1, LIVE)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "vCPU '0' can't be modified"):
            dom.setVcpu("0", 0, CONFIG)
        dom.setVcpu("1-3", 1, CONFIG)
        self.assertEqual(dom.vcpusFlags(CONFIG), 4)
        stored = self.vcpus(dom, libvirt.VIR_DOMAIN_XML_INACTIVE)
        self.assertEqual([v[:3] for v in stored], [("0", "yes", "no")] + [(str(n), "yes", "yes") for n in (1, 2, 3)])
        dom.destroy()
        dom.create()  # those that may go are plugged in before the guest runs
        self.assertEqual(dom.vcpusFlags(LIVE), 4)
        self.assertIn("vcpu3", virsh("qemu-monitor-command", "mapped", "--hmp", "info qom-tree /machine/peripheral").out)

    def test_hotpluggable_in_the_stored_document(self):
        dom = self.bare("later", start=False)
        dom.setVcpusFlags(3, CONFIG | libvirt.VIR_DOMAIN_VCPU_HOTPLUGGABLE)
        self.assertEqual([v[1:3] for v in self.vcpus(dom)], [("yes", "no"), ("yes", "yes"), ("yes", "yes"), ("no", "yes")])
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "domain is not running"):
            dom.setVcpus(2)

    def test_without_an_agent(self):
        self.bare("mute")
        for words in (("guestvcpus", "mute"), ("guestvcpus", "mute", "--cpulist", "0", "--enable"), ("setvcpus", "mute", "1", "--guest")):
            done = virsh(*words, check=False)
            self.assertEqual(done.rc, 1, done)
            self.assertIn("QEMU guest agent is not configured", done.err)

    def test_memory(self):
        xml = world.bare_xml("balloon", memory=64).replace("<memballoon model='none'/>", BALLOON)
        dom = self.conn.defineXML(xml)
        dom.create()
        dom.setMemoryStatsPeriod(5, LIVE | CONFIG)
        for flags in (0, libvirt.VIR_DOMAIN_XML_INACTIVE):
            self.assertEqual(ET.fromstring(dom.XMLDesc(flags)).find("devices/memballoon/stats").get("period"), "5")
        dom.setMemoryFlags(32 << 10, CONFIG)
        self.assertEqual(ET.fromstring(dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).find("currentMemory").text, str(32 << 10))
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "cannot set memory higher than max memory"):
            dom.setMemoryFlags(65 << 10, LIVE)
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "cannot resize the maximum memory on an active domain"):
            dom.setMaxMemory(128 << 10)
        dom.setMemoryFlags(128 << 10, CONFIG | libvirt.VIR_DOMAIN_MEM_MAXIMUM)
        self.assertEqual(ET.fromstring(dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).find("memory").text, str(128 << 10))
        bare = self.bare("solid")
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "without the balloon device"):
            bare.setMemoryFlags(8 << 10, LIVE)
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "No memory balloon device configured"):
            bare.setMemoryStatsPeriod(5, LIVE)

    def test_a_guest_gets_a_dimm(self):
        cell = "<cpu><numa><cell id='0' cpus='0' memory='192' unit='MiB'/></numa></cpu>"
        xml = world.guest_xml("dimms", nics=0, machine="pc", extra=cell)
        xml = xml.replace("<memory unit", "<maxMemory slots='4' unit='MiB'>1024</maxMemory><memory unit", 1)
        dom = self.conn.defineXML(xml)
        dom.create()
        console = world.Console("dimms")
        self.addCleanup(console.close)
        console.expect("GUEST-CPUS", 120)
        dimm = "<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>"
        dom.attachDeviceFlags(dimm, LIVE | CONFIG)
        live = ET.fromstring(dom.XMLDesc())
        self.assertEqual(live.find("devices/memory/alias").get("name"), "dimm0")
        place = live.find("devices/memory/address")
        self.assertEqual((place.get("slot"), place.get("base")), ("0", "0x100000000"))
        self.assertEqual(live.find("memory").text, str(320 << 10))
        wait_for(lambda: "memory" in console.shell("ls /sys/bus/acpi/devices; ls /sys/devices/system/memory | wc -l")[0], 20)
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "would exceed domain's maxMemory config"):
            dom.attachDeviceFlags(dimm.replace("128", "1024"), LIVE)
        with self.refused(libvirt.VIR_ERR_DEVICE_MISSING, "memory device not present"):
            dom.detachDeviceFlags(dimm.replace("128", "256"), LIVE)
        dom.destroy()
        dom.create()
        self.assertEqual(ET.fromstring(dom.XMLDesc()).find("devices/memory/address").get("base"), "0x100000000")


if __name__ == "__main__":
    world.main()
