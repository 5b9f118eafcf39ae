#!/usr/bin/python3
"""What a guest may take of its host, as the kernel and QEMU see it: CPUs, shares, limits, throughput."""

import glob
import os
import re
import unittest
import xml.etree.ElementTree as ET

import libvirt
import world
from world import virsh

LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG
BOTH = LIVE | CONFIG
CPUS = os.cpu_count()


def group(controller, name):
    found = glob.glob(f"/sys/fs/cgroup/{controller}/machine/qemu-*-{name}.libvirt-qemu")
    return found[0] if found else None


def read(path):
    with open(path) as f:
        return f.read().strip()


def affinity(pid):
    return os.sched_getaffinity(pid)


class Tuning(world.Case):
    def setUp(self):
        self.conn = self.connect()

    def bare(self, name, start=True, **more):
        dom = self.conn.defineXML(world.bare_xml(name, **more))
        if start:
            dom.create()
        return dom

    def documents(self, dom):
        return [ET.fromstring(dom.XMLDesc(flags)) for flags in (0, libvirt.VIR_DOMAIN_XML_INACTIVE)]

    def vcpu_thread(self, name):
        pid = world.qemu_pid(name)
        for task in glob.glob(f"/proc/{pid}/task/*"):
            if read(f"{task}/comm").startswith("CPU 0"):
                return int(os.path.basename(task))
        self.fail("no vCPU thread")

    # ---- CPUs ----

    def test_pins(self):
        dom = self.bare("pinned")
        one = tuple(cpu == 0 for cpu in range(CPUS))
        dom.pinVcpuFlags(0, one, BOTH)
        self.assertEqual(affinity(self.vcpu_thread("pinned")), {0})
        self.assertEqual(dom.vcpuPinInfo(LIVE)[0], one)
        dom.pinEmulator(one, BOTH)
        self.assertEqual(affinity(world.qemu_pid("pinned")), {0})
        self.assertEqual(dom.emulatorPinInfo(LIVE), one)
        for document in self.documents(dom):
            self.assertEqual(document.find("cputune/vcpupin").attrib, {"vcpu": "0", "cpuset": "0"})
            self.assertEqual(document.find("cputune/emulatorpin").get("cpuset"), "0")
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "vcpu 7 is out of range"):
            dom.pinVcpuFlags(7, one, LIVE)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "Empty cpu list for pinning"):
            dom.pinVcpuFlags(0, (False,) * CPUS, LIVE)
        dom.destroy()
        dom.create()
        self.assertEqual(affinity(self.vcpu_thread("pinned")), {0})
        self.assertEqual(affinity(world.qemu_pid("pinned")), {0})

    def test_iothreads(self):
        dom = self.bare("threaded")
        dom.addIOThread(3, BOTH)
        self.assertEqual([t[0] for t in dom.ioThreadInfo(LIVE)], [3])
        self.assertEqual([t[0] for t in dom.ioThreadInfo(CONFIG)], [3])
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "an IOThread is already using iothread_id '3'"):
            dom.addIOThread(3, LIVE)
        one = tuple(cpu == 0 for cpu in range(CPUS))
        dom.pinIOThread(3, one, BOTH)
        self.assertEqual(dom.ioThreadInfo(LIVE)[0][1][0], True)
        dom.setIOThreadParams(3, {"poll_max_ns": 4000}, LIVE)
        self.assertIn("poll-max-ns=4000", virsh("qemu-monitor-command", "threaded", "--hmp", "info iothreads").out)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "cannot find IOThread '9'"):
            dom.delIOThread(9, LIVE)
        for document in self.documents(dom):
            self.assertEqual(document.find("cputune/iothreadpin").attrib, {"iothread": "3", "cpuset": "0"})
        dom.delIOThread(3, BOTH)
        self.assertEqual(dom.ioThreadInfo(LIVE), [])
        for document in self.documents(dom):
            self.assertIsNone(document.find("iothreads"))

    @unittest.skipUnless(os.path.isdir("/sys/fs/cgroup/cpu"), "no cgroup v1 here")
    def test_scheduler(self):
        dom = self.bare("shared")
        self.assertEqual(dom.schedulerType()[0], "posix")
        for flags in (LIVE, CONFIG):
            dom.setSchedulerParametersFlags({"cpu_shares": 512, "vcpu_quota": 50000, "vcpu_period": 100000}, flags)
        at = group("cpu", "shared")
        self.assertEqual(read(f"{at}/cpu.shares"), "512")
        self.assertEqual(read(f"{at}/vcpu0/cpu.cfs_quota_us"), "50000")
        self.assertIn(str(self.vcpu_thread("shared")), read(f"{at}/vcpu0/tasks").split())
        now = dom.schedulerParametersFlags(LIVE)
        self.assertEqual((now["cpu_shares"], now["vcpu_quota"], now["vcpu_period"]), (512, 50000, 100000))
        for document in self.documents(dom):
            self.assertEqual(document.find("cputune/shares").text, "512")
            self.assertEqual(document.find("cputune/quota").text, "50000")
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "value of 'vcpu_period' is out of range"):
            dom.setSchedulerParametersFlags({"vcpu_period": 3}, LIVE)
        dom.destroy()
        dom.create()
        at = group("cpu", "shared")
        self.assertEqual(read(f"{at}/cpu.shares"), "512")
        self.assertEqual(read(f"{at}/vcpu0/cpu.cfs_quota_us"), "50000")

    @unittest.skipUnless(os.path.isdir("/sys/fs/cgroup/memory"), "no cgroup v1 here")
    def test_memory_limits(self):
        dom = self.bare("limited")
        for flags in (LIVE, CONFIG):
            dom.setMemoryParameters({"soft_limit": 400 << 10}, flags)
        self.assertEqual(read(f"{group('memory', 'limited')}/memory.soft_limit_in_bytes"), str(400 << 20))
        self.assertEqual(dom.memoryParameters(LIVE)["soft_limit"], 400 << 10)
        for document in self.documents(dom):
            self.assertEqual(document.find("memtune/soft_limit").text, str(400 << 10))
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "lower than or equal to swap_hard_limit"):
            dom.setMemoryParameters({"hard_limit": 900 << 10, "swap_hard_limit": 800 << 10}, CONFIG)

    # ---- disks and cards ----

    def disk(self, name):
        path = f"{world.IMAGES}/{name}.img"
        with open(path, "wb") as f:
            f.truncate(1 << 20)
        return f"<disk type='file'><driver name='qemu' type='raw'/><source file='{path}'/><target dev='vda' bus='virtio'/></disk>"

    def test_throughput_of_a_disk(self):
        dom = self.bare("throttled", devices=self.disk("throttled"))
        for flags in (LIVE, CONFIG):
            dom.setBlockIoTune("vda", {"total_bytes_sec": 1 << 20, "total_iops_sec": 100}, flags)
        shown = virsh("qemu-monitor-command", "throttled", "--hmp", "info block").out
        self.assertIn(f"bps={1 << 20}", shown)
        self.assertIn("iops=100", shown)
        self.assertEqual(dom.blockIoTune("vda", LIVE)["total_bytes_sec"], 1 << 20)
        for document in self.documents(dom):
            self.assertEqual(document.find("devices/disk/iotune/total_iops_sec").text, "100")
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "total and read/write of bytes_sec cannot be set at the same time"):
            dom.setBlockIoTune("vda", {"total_bytes_sec": 1, "read_bytes_sec": 1}, LIVE)
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "value 'total_bytes_sec_max' cannot be smaller than 'total_bytes_sec'"):
            dom.setBlockIoTune("vda", {"total_bytes_sec_max": 10}, LIVE)
        dom.destroy()
        dom.create()
        self.assertIn("iops=100", virsh("qemu-monitor-command", "throttled", "--hmp", "info block").out)
        for flags in (LIVE, CONFIG):
            dom.setBlockIoTune("vda", {"total_bytes_sec": 0, "total_iops_sec": 0}, flags)
        for document in self.documents(dom):
            self.assertIsNone(document.find("devices/disk/iotune"))

    def test_throughput_of_a_transient_guests_disk(self):
        dom = self.conn.createXML(world.bare_xml("passing", devices=self.disk("passing")))
        dom.setBlockIoTune("vda", {"total_iops_sec": 50}, 0)
        self.assertEqual(dom.blockIoTune("vda")["total_iops_sec"], 50)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "'vdz' not found in domain"):
            dom.blockIoTune("vdz")

    def test_resize_and_threshold(self):
        dom = self.bare("sized", devices=self.disk("sized"))
        dom.blockResize("vda", 2 << 20, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
        self.assertEqual(dom.blockInfo("vda")[0], 2 << 20)
        dom.setBlockThreshold("vda", 1 << 20)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "failed to find disk 'vda[9]'"):
            dom.setBlockThreshold("vda[9]", 1 << 20)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "vdz"):
            dom.blockResize("vdz", 1024)

    @world.only_lodge  # the peer needs a queueing discipline (sfq) that small kernels lack
    def test_bandwidth_of_a_card(self):
        world.default_network()
        nic = "<interface type='network'><source network='default'/><mac address='52:54:00:00:00:09'/><model type='virtio'/></interface>"
        dom = self.bare("narrow", devices=nic)
        tap = ET.fromstring(dom.XMLDesc()).find("devices/interface/target").get("dev")
        dom.setInterfaceParameters(tap, {"inbound.average": 1000, "inbound.peak": 2000, "inbound.burst": 1024}, LIVE)
        dom.setInterfaceParameters("52:54:00:00:00:09", {"outbound.average": 128}, CONFIG)
        self.assertIn("htb", world.run("tc", "qdisc", "show", "dev", tap).out)
        self.assertEqual(dom.interfaceParameters(tap, LIVE)["inbound.average"], 1000)
        live, stored = self.documents(dom)
        self.assertEqual(live.find("devices/interface/bandwidth/inbound").get("peak"), "2000")
        self.assertEqual(stored.find("devices/interface/bandwidth/outbound").get("average"), "128")

    def test_refusals(self):
        dom = self.bare("refused", start=False)
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "domain is not running"):
            dom.setSchedulerParametersFlags({"cpu_shares": 5}, LIVE)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "disk 'vdq'"):
            dom.blockIoTune("vdq", CONFIG)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "vdq"):
            dom.setBlockIoTune("vdq", {"total_iops_sec": 1}, CONFIG)
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "nodeset for NUMA memory tuning must be set", origin=libvirt.VIR_FROM_DOMAIN):
            dom.setNumaParameters({"numa_mode": libvirt.VIR_DOMAIN_NUMATUNE_MEM_PREFERRED}, CONFIG)
        reader = self.connect(readonly=True).lookupByName("refused")
        with self.refused(libvirt.VIR_ERR_OPERATION_DENIED, "read only access"):
            reader.pinEmulator((True,), CONFIG)


if __name__ == "__main__":
    world.main()
