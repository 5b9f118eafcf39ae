#!/usr/bin/python3
"""Looking at guests: figures of one and of many, by stock virsh and python3-libvirt, also while one of them does not answer."""

import os
import re
import signal
import time

import libvirt
import world
from world import virsh, wait_for

DISKS = """<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{images}/top.qcow2'/>
<backingStore type='file'><format type='qcow2'/><source file='{images}/base.qcow2'/><backingStore/></backingStore><target dev='vda' bus='virtio'/></disk><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{images}/b.raw'/>
<target dev='vdb' bus='virtio'/></disk>"""


def watched(name, extra=""):
    devices = DISKS.format(images=world.IMAGES) + "<interface type='bridge'><source bridge='virbr0'/></interface>"
    xml = world.bare_xml(name, devices=devices, extra="<iothreads>1</iothreads>" + extra)
    return xml.replace("<memballoon model='none'/>", "<memballoon model='virtio'/>").replace("machine='pc'", "machine='q35'")


def make_images():
    for name in ("base.qcow2", "top.qcow2", "b.raw"):
        if os.path.exists(f"{world.IMAGES}/{name}"):
            os.unlink(f"{world.IMAGES}/{name}")
    world.run("qemu-img", "create", "-q", "-f", "qcow2", f"{world.IMAGES}/base.qcow2", "64M")
    world.run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", f"{world.IMAGES}/base.qcow2", f"{world.IMAGES}/top.qcow2")
    world.run("qemu-img", "create", "-q", "-f", "raw", f"{world.IMAGES}/b.raw", "8M")
    for name in ("base.qcow2", "top.qcow2", "b.raw"):
        os.chmod(f"{world.IMAGES}/{name}", 0o666)


class Figures(world.Case):
    def setUp(self):
        world.default_network()
        make_images()
        self.conn = self.connect()

    def stats(self, dom, groups=0, flags=0):
        return self.conn.domainListGetStats([dom], groups, flags)[0][1]

    def test_every_group_of_a_running_guest(self):
        dom = self.conn.createXML(watched("all"))
        got = self.stats(dom)
        self.assertEqual((got["state.state"], got["state.reason"]), (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_BOOTED))
        for name in ("cpu.time", "cpu.user", "cpu.system", "balloon.rss", "vcpu.0.time", "vcpu.0.wait", "vcpu.0.delay"):
            self.assertGreaterEqual(got[name], 0, name)
        self.assertEqual((got["balloon.current"], got["balloon.maximum"]), (16384, 16384))
        self.assertEqual((got["vcpu.current"], got["vcpu.maximum"], got["vcpu.0.state"]), (1, 1, libvirt.VIR_VCPU_RUNNING))
        self.assertEqual(got["net.count"], 1)
        self.assertTrue(got["net.0.name"].startswith("vnet"))
        self.assertEqual(got["net.0.rx.errs"], 0)
        self.assertEqual((got["block.count"], got["block.0.name"], got["block.1.name"]), (2, "vda", "vdb"))
        self.assertEqual(got["block.0.path"], f"{world.IMAGES}/top.qcow2")
        self.assertEqual((got["block.0.capacity"], got["block.1.capacity"]), (64 << 20, 8 << 20))
        self.assertGreaterEqual(got["block.0.rd.reqs"], 0)
        self.assertEqual((got["iothread.count"], got["iothread.1.poll-max-ns"]), (1, 32768))
        self.assertEqual((got["dirtyrate.calc_status"], got["dirtyrate.calc_mode"]), (0, "page-sampling"))
        nowait = self.stats(dom, libvirt.VIR_DOMAIN_STATS_STATE, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT)
        self.assertEqual(set(nowait), {"state.state", "state.reason"})

    def test_backing_chains_are_told_when_asked_for(self):
        dom = self.conn.createXML(watched("chain"))
        plain = self.stats(dom, libvirt.VIR_DOMAIN_STATS_BLOCK)
        chain = self.stats(dom, libvirt.VIR_DOMAIN_STATS_BLOCK, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING)
        self.assertEqual((plain["block.count"], chain["block.count"]), (2, 3))
        self.assertEqual([chain[f"block.{i}.name"] for i in range(3)], ["vda", "vda", "vdb"])
        self.assertEqual(chain["block.1.path"], f"{world.IMAGES}/base.qcow2")
        self.assertNotIn("block.1.rd.reqs", chain)
        self.assertEqual(chain["block.1.capacity"], 64 << 20)

    def test_a_guest_that_is_off(self):
        dom = self.conn.defineXML(watched("off"))
        got = self.stats(dom)
        self.assertEqual(got["state.state"], libvirt.VIR_DOMAIN_SHUTOFF)
        self.assertEqual((got["vcpu.current"], got["block.count"], got["block.0.capacity"]), (1, 2, 64 << 20))
        self.assertNotIn("net.count", got)
        self.assertNotIn("block.0.rd.reqs", got)
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "domain is not running"):
            dom.diskErrors()

    def test_filters_and_unknown_groups(self):
        self.conn.defineXML(world.bare_xml("idle"))
        self.conn.createXML(world.bare_xml("busy"))
        names = lambda flags: {d.name() for d, _ in self.conn.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, flags)}
        self.assertEqual(names(0), {"idle", "busy"})
        self.assertEqual(names(libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE), {"busy"})
        self.assertEqual(names(libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_SHUTOFF), {"idle"})
        self.assertEqual(names(libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_TRANSIENT), {"busy"})
        with self.refused(libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED, "Stats types bits 0x40000000 are not supported"):
            self.conn.getAllDomainStats(1 << 30, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS)

    def test_what_virsh_shows_of_one_guest(self):
        dom = self.conn.createXML(watched("seen"))
        self.assertEqual(virsh("domblkerror", "seen").out.strip(), "No errors found")
        self.assertRegex(virsh("domifstat", "seen", self.stats(dom)["net.0.name"]).out, r"(?m)^vnet\d+ rx_bytes \d+$")
        self.assertRegex(virsh("domblkstat", "seen", "vda", "--human").out, r"number of read operations: +\d+")
        self.assertRegex(virsh("cpu-stats", "seen", "--total").out, r"(?s)Total:.*cpu_time +\d+\.\d+ seconds.*user_time")
        self.assertRegex(virsh("dommemstat", "seen").out, r"(?m)^rss \d+$")
        self.assertEqual(virsh("domlaunchsecinfo", "seen").out.strip(), "")
        self.assertIn("ok", virsh("domcontrol", "seen").out)

    def test_memory_figures_come_in_libvirts_order(self):
        names = list(self.conn.createXML(watched("ordered")).memoryStats())
        known = ["actual", "swap_in", "swap_out", "major_fault", "minor_fault", "unused", "available", "usable", "last_update", "disk_caches",
                 "hugetlb_pgalloc", "hugetlb_pgfail", "rss"]
        self.assertEqual(names, [name for name in known if name in names])
        self.assertEqual((names[0], names[-1]), ("actual", "rss"))

    def test_whom_a_guest_runs_as(self):
        dom = self.conn.defineXML(watched("labelled"))
        self.assertEqual(dom.securityLabelList(), [])
        dom.create()
        with open(f"/proc/{world.qemu_pid('labelled')}/status") as f:
            uid, gid = (re.search(rf"(?m)^{key}:\t(\d+)", status).group(1) for status in [f.read()] for key in ("Uid", "Gid"))
        self.assertEqual(dom.securityLabelList(), [["", False], [f"+{uid}:+{gid}", False]])

    def test_how_many_cpus_a_guest_may_have(self):
        self.assertEqual((self.conn.getMaxVcpus("qemu"), self.conn.getMaxVcpus("QEMU"), self.conn.getMaxVcpus(None)), (16, 16, 16))
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "unknown type 'nonsense'"):
            self.conn.getMaxVcpus("nonsense")
        idle = self.conn.defineXML(world.bare_xml("idle"))
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "domain is not running", origin=libvirt.VIR_FROM_DOMAIN):
            idle.maxVcpus()

    def test_unknown_cards(self):
        dom = self.conn.createXML(watched("cards"))
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "'vnet99' is not a known interface", origin=libvirt.VIR_FROM_DOMAIN):
            dom.interfaceStats("vnet99")

    def test_dirty_rate(self):
        dom = self.conn.createXML(watched("dirty"))
        virsh("domdirtyrate-calc", "dirty", "--seconds", "1")
        done = lambda: self.stats(dom, libvirt.VIR_DOMAIN_STATS_DIRTYRATE)["dirtyrate.calc_status"] == libvirt.VIR_DOMAIN_DIRTYRATE_MEASURED
        wait_for(done, 30, "the dirty rate is measured")
        self.assertIn("dirtyrate.megabytes_per_second", self.stats(dom, libvirt.VIR_DOMAIN_STATS_DIRTYRATE))
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "seconds=61 is invalid, please choose value within [1, 60]."):
            dom.startDirtyRateCalc(61, 0)


class OneIsDeaf(world.Case):
    """A QEMU under SIGSTOP. libvirtd waits for it without end, so the peer is not asked."""

    @world.only_lodge
    def test_a_stopped_emulator_delays_nobody_else(self):
        conn = self.connect()
        others = [conn.createXML(world.bare_xml(f"well{i}")) for i in range(3)]
        deaf = conn.createXML(world.bare_xml("deaf"))
        conn.getAllDomainStats()
        pid = world.qemu_pid("deaf")
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(lambda: world.alive(pid) and os.kill(pid, signal.SIGCONT))

        begin = time.monotonic()
        got = {d.name(): stats for d, stats in conn.getAllDomainStats()}
        self.assertLess(time.monotonic() - begin, 15)  # its patience, once
        self.assertIn("block.count", got["well0"])
        self.assertIn("vcpu.0.time", got["deaf"])  # what the kernel tells is there

        # From then on it is known not to answer.
        def quick(ask):
            best = 1e9
            for _ in range(10):
                begin = time.monotonic()
                ask()
                best = min(best, time.monotonic() - begin)
            return best

        self.assertLess(quick(conn.listAllDomains), 0.05)
        self.assertLess(quick(lambda: [d.info() for d in others]), 0.05)
        self.assertLess(quick(lambda: conn.domainListGetStats(others)), 0.05)
        self.assertLess(quick(conn.getAllDomainStats), 0.05)
        self.assertIn("occupied", virsh("domcontrol", "deaf").out)
        deaf.destroy()
        wait_for(lambda: not world.alive(pid), 10, "the deaf one is gone")


if __name__ == "__main__":
    world.main()
