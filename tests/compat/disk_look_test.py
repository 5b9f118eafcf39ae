#!/usr/bin/python3
"""Looking at disks and memory of a guest: raw bytes, statistics of a chain, thresholds, errors, sizes."""

import os

import libvirt

import world
from world import IMAGES, virsh


class DiskLook(world.Case):
    def setUp(self):
        for file in os.listdir(IMAGES):
            os.unlink(f"{IMAGES}/{file}")
        self.base, self.top, self.raw = (f"{IMAGES}/{n}" for n in ("base.qcow2", "top.qcow2", "other.raw"))
        world.run("qemu-img", "create", "-q", "-f", "qcow2", self.base, "32M")
        world.run("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 4M", self.base)
        world.run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", self.base, self.top)
        with open(self.raw, "wb") as image:
            image.write(b"treasure".ljust(8 << 20, b"\0"))
        disks = "".join(
            f"<disk type='file' device='disk'><driver name='qemu' type='{kind}'/><source file='{path}'/><target dev='{dev}' bus='virtio'/></disk>"
            for path, kind, dev in ((self.top, "qcow2", "vda"), (self.raw, "raw", "vdb"))
        )
        self.conn = self.connect()
        self.dom = self.conn.defineXML(world.bare_xml("looked-at", devices=disks))

    def test_block_peek(self):
        self.assertEqual(self.dom.blockPeek("vdb", 2, 6), b"easure", "of a guest that is off")
        self.dom.create()
        self.assertEqual(self.dom.blockPeek(self.raw, 0, 8), b"treasure")
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "only supported for disk with 'raw' format not 'qcow2'"):
            self.dom.blockPeek("vda", 0, 8)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "disk 'vdz' not found in domain"):
            self.dom.blockPeek("vdz", 0, 8)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, f"starting from {8 << 20} has only 0 bytes available"):
            self.dom.blockPeek("vdb", 8 << 20, 8)

    def test_memory_peek(self):
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "not running"):
            self.dom.memoryPeek(0, 16, libvirt.VIR_MEMORY_PHYSICAL)
        self.dom.create()
        # The reset vector of the firmware is a far jump.
        self.assertEqual(self.dom.memoryPeek(0xFFFFFFF0, 1, libvirt.VIR_MEMORY_PHYSICAL), b"\xea")
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "VIR_MEMORY_VIRTUAL or VIR_MEMORY_PHYSICAL"):
            self.dom.memoryPeek(0, 16, 0)

    def test_statistics_of_a_chain(self):
        self.dom.create()
        (_, stats), = self.conn.domainListGetStats([self.dom], libvirt.VIR_DOMAIN_STATS_BLOCK, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING)
        self.assertEqual(stats["block.count"], 3)
        self.assertEqual([stats[f"block.{i}.path"] for i in range(3)], [self.top, self.base, self.raw])
        self.assertEqual([stats[f"block.{i}.backingIndex"] for i in range(3)], [2, 3, 1])
        self.assertEqual([stats[f"block.{i}.capacity"] for i in (0, 2)], [32 << 20, 8 << 20])
        self.assertGreater(stats["block.1.physical"], 4 << 20)
        (_, stats), = self.conn.domainListGetStats([self.dom], libvirt.VIR_DOMAIN_STATS_BLOCK)
        self.assertEqual(stats["block.count"], 2)
        self.assertEqual(self.dom.blockInfo("vda")[0], 32 << 20)
        self.assertEqual(self.dom.diskErrors(), {})

    def test_threshold(self):
        events = world.Events()
        self.addCleanup(events.close)
        told = []
        events.ids.append(events.conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD, lambda _c, _d, dev, path, threshold, _excess, _o: told.append((dev, path, threshold)), None))
        self.dom.create()
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "invalid"):
            self.dom.setBlockThreshold("vdz", 1)
        self.dom.setBlockThreshold("vda[3]", 1 << 20)
        self.dom.setBlockThreshold("vda", 1 << 20)
        (_, stats), = self.conn.domainListGetStats([self.dom], libvirt.VIR_DOMAIN_STATS_BLOCK, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING)
        self.assertEqual((stats["block.0.threshold"], stats["block.1.threshold"]), (1 << 20, 1 << 20))
        virsh("qemu-monitor-command", "looked-at", "--hmp", 'qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend "write -P 2 8M 4M"')
        world.wait_for(lambda: ("vda", self.top, 1 << 20) in told, 20, f"the threshold's event; told: {told}")
        self.dom.blockResize("vda", 64 << 20, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
        self.assertEqual(self.dom.blockInfo("vda")[0], 64 << 20)


if __name__ == "__main__":
    world.main()
