#!/usr/bin/python3
"""Counters of the host's kernel for a guest's threads."""

import signal
import xml.etree.ElementTree as ET

import libvirt
import world
from world import virsh

LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG
NAMES = [
    "cmt", "mbmt", "mbml", "cpu_cycles", "instructions", "cache_references", "cache_misses", "branch_instructions", "branch_misses",
    "bus_cycles", "stalled_cycles_frontend", "stalled_cycles_backend", "ref_cpu_cycles", "cpu_clock", "task_clock", "page_faults",
    "context_switches", "cpu_migrations", "page_faults_min", "page_faults_maj", "alignment_faults", "emulation_faults",
]  # fmt: skip


class Perf(world.Case):
    def setUp(self):
        self.conn = self.connect()

    def counts(self, dom):
        return self.conn.domainListGetStats([dom], libvirt.VIR_DOMAIN_STATS_PERF)[0][1]

    def on(self, dom, flags):
        return [name for name, on in dom.perfEvents(flags).items() if on]

    def events(self, dom, flags=0):
        return {e.get("name"): e.get("enabled") for e in ET.fromstring(dom.XMLDesc(flags)).findall("perf/event")}

    def test_counters_of_a_running_guest(self):
        dom = self.conn.defineXML(world.bare_xml("counted"))
        dom.create()
        self.assertEqual(list(dom.perfEvents(LIVE)), NAMES)
        self.assertEqual(self.on(dom, LIVE), [])
        self.assertEqual(self.counts(dom), {})
        dom.setPerfEvents({"task_clock": True, "page_faults": True}, LIVE)
        self.assertEqual(self.on(dom, LIVE), ["task_clock", "page_faults"])
        first = self.counts(dom)
        self.assertEqual(set(first), {"perf.task_clock", "perf.page_faults"})
        world.wait_for(lambda: self.counts(dom)["perf.task_clock"] > first["perf.task_clock"], 20, "the guest's time is counted")
        self.assertEqual(self.events(dom), {"task_clock": "yes", "page_faults": "yes"})
        self.assertEqual(self.events(dom, libvirt.VIR_DOMAIN_XML_INACTIVE), {})
        dom.setPerfEvents({"page_faults": False}, LIVE)
        self.assertEqual(self.on(dom, LIVE), ["task_clock"])
        self.assertEqual(self.events(dom), {"task_clock": "yes", "page_faults": "no"})
        world.daemon.restart(signal.SIGKILL)
        again = self.connect().lookupByName("counted")
        self.assertEqual(self.on(again, LIVE), ["task_clock"])
        self.assertRegex(virsh("perf", "counted").out, r"(?m)^task_clock +: enabled$")

    def test_the_stored_document(self):
        dom = self.conn.defineXML(world.bare_xml("stored"))
        dom.setPerfEvents({"cmt": True, "cpu_clock": True}, CONFIG)
        self.assertEqual(self.on(dom, CONFIG), ["cmt", "cpu_clock"])
        self.assertEqual(self.events(dom), {"cmt": "yes", "cpu_clock": "yes"})
        dom.setPerfEvents({"cmt": False})
        self.assertEqual(self.on(dom, 0), ["cpu_clock"])
        dom.create()
        self.assertEqual(self.on(dom, LIVE), ["cpu_clock"])
        self.assertIn("perf.cpu_clock", self.counts(dom))

    def test_a_guest_does_not_start_without_what_it_asks_for(self):
        dom = self.conn.defineXML(world.bare_xml("lacking", extra="<perf><event name='cmt' enabled='yes'/></perf>"))
        with self.refused(libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED, "unable to enable host cpu perf event for cmt"):
            dom.create()
        self.assertFalse(dom.isActive())

    def test_refusals(self):
        dom = self.conn.defineXML(world.bare_xml("refused"))
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "domain is not running"):
            dom.setPerfEvents({"cpu_clock": True}, LIVE)
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "domain is not running"):
            dom.perfEvents(LIVE)
        dom.create()
        with self.refused(libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED, "unable to enable host cpu perf event for cmt"):
            dom.setPerfEvents({"cmt": True}, LIVE)
        self.assertEqual(self.on(dom, LIVE), [])
        reader = self.connect(readonly=True).lookupByName("refused")
        with self.refused(libvirt.VIR_ERR_OPERATION_DENIED, "read only access"):
            reader.setPerfEvents({"cpu_clock": True}, LIVE)


if __name__ == "__main__":
    world.main()
