#!/usr/bin/python3
"""Volumes with stock virsh and python3-libvirt: all common forms, their content, and guests' disks that are volumes."""

import contextlib
import hashlib
import os
import re
import shutil
import threading

import libvirt

import world
from storage import FOLDER, MIB, volume_xml, image_info, content, Storage
from world import run, virsh, wait_for


class Volumes(Storage):
    def test_raw(self):
        pool = self.pool()
        sparse = pool.createXML(volume_xml("sparse", 8 * MIB, 0))
        self.assertEqual(sparse.info(), [libvirt.VIR_STORAGE_VOL_FILE, 8 * MIB, 0])
        self.assertEqual(sparse.infoFlags(libvirt.VIR_STORAGE_VOL_GET_PHYSICAL)[2], 8 * MIB)
        full = pool.createXML(volume_xml("full", 2 * MIB))
        self.assertGreaterEqual(full.info()[2], 2 * MIB)
        mode = os.stat(full.path())
        self.assertEqual((mode.st_mode & 0o777, mode.st_size), (0o600, 2 * MIB))
        owned = pool.createXML(volume_xml("owned", target="<permissions><mode>0640</mode><owner>7</owner><group>8</group></permissions>"))
        status = os.stat(owned.path())
        self.assertEqual((status.st_mode & 0o777, status.st_uid, status.st_gid), (0o640, 7, 8))
        self.assertIn("<owner>7</owner>", owned.XMLDesc())
        with self.refused(libvirt.VIR_ERR_STORAGE_VOL_EXIST, "storage volume 'full' exists already"):
            pool.createXML(volume_xml("full"))
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "volume name 'a/b' cannot contain '/'"):
            pool.createXML(volume_xml("a/b"))
        open(FOLDER + "/unseen", "w").close()
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "already exists"):
            pool.createXML(volume_xml("unseen"))
        with self.refused(libvirt.VIR_ERR_NO_SUPPORT, "backing storage not supported for raw volumes"):
            pool.createXML(volume_xml("backed", more="<backingStore><path>/x</path></backingStore>"))
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "metadata preallocation is not supported for raw volumes"):
            pool.createXML(volume_xml("meta"), libvirt.VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA)
        full.delete()
        self.assertFalse(os.path.exists(FOLDER + "/full"))
        self.assertEqual(sorted(pool.listVolumes()), ["owned", "sparse"])
        self.assertEqual(sorted(os.listdir(FOLDER)), ["owned", "sparse", "unseen"])

    def test_qcow2(self):
        pool = self.pool()
        base = pool.createXML(volume_xml("base.qcow2", 64 * MIB, 0, "qcow2"))
        self.assertEqual(image_info(base.path())["format-specific"]["data"]["compat"], "0.10")
        backing = f"<backingStore><path>{base.path()}</path><format type='qcow2'/></backingStore>"
        top = pool.createXML(f"<volume><name>top.qcow2</name><target><format type='qcow2'/></target>{backing}</volume>")
        info = image_info(top.path())
        self.assertEqual((info["virtual-size"], info["backing-filename"], info["backing-filename-format"]), (64 * MIB, base.path(), "qcow2"))
        pool.refresh()
        self.assertIn(f"<backingStore>\n    <path>{base.path()}</path>\n    <format type='qcow2'/>", top.XMLDesc())
        rich = "<compat>1.1</compat><clusterSize unit='KiB'>128</clusterSize><features><lazy_refcounts/></features>"
        made = image_info(pool.createXML(volume_xml("rich", kind="qcow2", target=rich)).path())
        data = made["format-specific"]["data"]
        self.assertEqual((data["compat"], data["lazy-refcounts"], made["cluster-size"]), ("1.1", True, 131072))
        meta = pool.createXML(volume_xml("meta", 16 * MIB, 0, "qcow2"), libvirt.VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA)
        self.assertGreater(image_info(meta.path())["actual-size"], image_info(base.path())["actual-size"])
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR, "inaccessible backing store volume /nowhere"):
            pool.createXML(volume_xml("lost", kind="qcow2", more="<backingStore><path>/nowhere</path></backingStore>"))
        with self.refused(libvirt.VIR_ERR_XML_ERROR, "missing capacity element"):
            pool.createXML("<volume><name>nothing</name><target><format type='qcow2'/></target></volume>")
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "qemu-img"):
            pool.createXML(volume_xml("odd", kind="qcow2", target="<clusterSize>3</clusterSize>"))
        self.assertEqual(sorted(os.listdir(FOLDER)), ["base.qcow2", "meta", "rich", "top.qcow2"])
        self.assertEqual(sorted(pool.listVolumes()), ["base.qcow2", "meta", "rich", "top.qcow2"])

    def test_other_formats(self):
        pool = self.pool()
        for kind in ("vmdk", "vdi", "vpc", "qed"):
            volume = pool.createXML(volume_xml(kind, 64 * MIB, 0, kind))
            self.assertEqual(image_info(volume.path())["format"], kind)
        pool.createXML(volume_xml("folder", kind="dir"))
        pool.refresh()
        found = {v.name(): re.search(r"<format type='(\w+)'", v.XMLDesc()).group(1) for v in pool.listAllVolumes()}
        self.assertEqual(found, {"vmdk": "vmdk", "vdi": "vdi", "vpc": "vpc", "qed": "qed", "folder": "dir"})
        with open(FOLDER + "/folder/file", "w"):
            pass
        folder = pool.storageVolLookupByName("folder")
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR, "cannot remove directory"):
            folder.delete()
        os.unlink(FOLDER + "/folder/file")
        folder.delete()
        self.assertFalse(os.path.exists(FOLDER + "/folder"))

    def fill(self, path, size=3 * MIB):
        with open(path, "r+b") as f:
            f.write(os.urandom(size))
        return content(path)

    def test_clone(self):
        pool = self.pool()
        raw = pool.createXML(volume_xml("raw", 8 * MIB, 0))
        digest = self.fill(raw.path())
        virsh("vol-clone", "raw", "copy", "--pool", "p")
        self.assertEqual(content(FOLDER + "/copy"), digest)
        self.assertLess(os.stat(FOLDER + "/copy").st_blocks * 512, 8 * MIB)
        converted = pool.createXMLFrom(volume_xml("converted", 1, kind="qcow2"), raw)
        self.assertEqual((image_info(converted.path())["format"], converted.info()[1]), ("qcow2", 8 * MIB))
        os.makedirs(FOLDER + "/other")
        other = self.pool("other", path=FOLDER + "/other")
        back = other.createXMLFrom(volume_xml("back", 1), converted)
        self.assertEqual(content(back.path()), digest)
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "storage volume name 'copy' already in use."):
            pool.createXMLFrom(volume_xml("copy", 1), raw)

    def test_resize(self):
        pool = self.pool()
        raw = pool.createXML(volume_xml("raw", 4 * MIB, 0))
        raw.resize(8 * MIB)
        self.assertEqual(os.stat(raw.path()).st_size, 8 * MIB)
        raw.resize(MIB, libvirt.VIR_STORAGE_VOL_RESIZE_DELTA)
        self.assertEqual(raw.info()[1], 9 * MIB)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "unless shrink flag explicitly specified"):
            raw.resize(MIB)
        raw.resize(MIB, libvirt.VIR_STORAGE_VOL_RESIZE_SHRINK)
        self.assertEqual(raw.info()[1], MIB)
        raw.resize(2 * MIB, libvirt.VIR_STORAGE_VOL_RESIZE_ALLOCATE)
        self.assertGreaterEqual(raw.info()[2], 2 * MIB)
        qcow2 = pool.createXML(volume_xml("qcow2", 4 * MIB, 0, "qcow2"))
        virsh("vol-resize", "qcow2", "16M", "--pool", "p")
        self.assertEqual(image_info(qcow2.path())["virtual-size"], 16 * MIB)
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "preallocate is only supported for raw"):
            qcow2.resize(32 * MIB, libvirt.VIR_STORAGE_VOL_RESIZE_ALLOCATE)

    def test_wipe(self):
        pool = self.pool()
        zeros = hashlib.sha256(bytes(4 * MIB)).hexdigest()
        for name, allocation in (("sparse", 0), ("full", 4 * MIB)):
            volume = pool.createXML(volume_xml(name, 4 * MIB, allocation))
            self.fill(volume.path(), MIB)
            virsh("vol-wipe", name, "--pool", "p")
            self.assertEqual(content(volume.path()), zeros)
        with self.refused(libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED, "'trim' algorithm not supported"):
            volume.wipePattern(libvirt.VIR_STORAGE_VOL_WIPE_ALG_TRIM)
        if not shutil.which("scrub"):
            with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR, "Cannot find 'scrub' in path"):
                volume.wipePattern(libvirt.VIR_STORAGE_VOL_WIPE_ALG_DOD)
        qcow2 = pool.createXML(volume_xml("qcow2", 4 * MIB, 0, "qcow2"))
        qcow2.wipe()
        self.assertIn("<format type='raw'/>", qcow2.XMLDesc())

    def test_encryption(self):
        pool = self.pool()
        uuid = "e78d4b51-a2af-485f-b0f5-afca709a80f4"
        locked = f"<encryption format='luks'><secret type='passphrase' uuid='{uuid}'/></encryption>"
        with self.refused(libvirt.VIR_ERR_NO_SECRET, uuid):
            pool.createXML(volume_xml("luks", target=locked))
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "A single <secret type='passphrase'...> element is expected"):
            pool.createXML(volume_xml("luks", target="<encryption format='luks'/>"))
        self.assertEqual((pool.listVolumes(), os.listdir(FOLDER)), ([], []))
        usage = f"<usage type='volume'><volume>{FOLDER}/luks</volume></usage>"
        secret = self.conn.secretDefineXML(f"<secret ephemeral='no' private='yes'><uuid>{uuid}</uuid>{usage}</secret>")
        self.addCleanup(secret.undefine)
        secret.setValue(b"open sesame", 0)
        plain = pool.createXML(volume_xml("plain", 4 * MIB, 0))
        digest = self.fill(plain.path())
        luks = pool.createXML(volume_xml("luks", target=locked))
        self.assertEqual((image_info(luks.path())["format"], luks.info()[1]), ("luks", 4 * MIB))
        luks.resize(8 * MIB)
        self.assertEqual(luks.info()[1], 8 * MIB)
        qcow2 = pool.createXMLFrom(volume_xml("qcow2", 4 * MIB, 0, "qcow2", target=locked), plain)
        self.assertTrue(image_info(qcow2.path())["encrypted"])
        back = pool.createXMLFrom(volume_xml("back", 4 * MIB, 0), qcow2)
        self.assertEqual(content(back.path()), digest)
        # After a refresh the image alone tells what it is; the secret for its path is found again.
        pool.refresh()
        self.assertIn(f"<secret type='passphrase' uuid='{uuid}'/>", luks.XMLDesc())
        self.assertIn("<encryption format='luks'>", luks.XMLDesc())
        self.assertIn("<encryption format='luks'", pool.storageVolLookupByName("qcow2").XMLDesc())


class Content(Storage):
    def upload(self, volume, path, *options):
        virsh("vol-upload", volume, path, "--pool", "p", *options, timeout=120)

    def download(self, volume, path, *options):
        virsh("vol-download", volume, path, "--pool", "p", *options, timeout=120)

    def test_round_trip(self):
        pool = self.pool()
        size = 24 * MIB + 123
        with open("/run/tmp/source", "wb") as f:
            f.write(os.urandom(size))
        pool.createXML(volume_xml("v", size))
        self.upload("v", "/run/tmp/source")
        self.assertEqual(content(FOLDER + "/v"), content("/run/tmp/source"))
        self.download("v", "/run/tmp/back")
        self.assertEqual(content("/run/tmp/back"), content("/run/tmp/source"))
        self.download("v", "/run/tmp/part", "--offset", "1000", "--length", "5000")
        with open("/run/tmp/source", "rb") as f:
            whole = f.read()
        with open("/run/tmp/part", "rb") as f:
            self.assertEqual(f.read(), whole[1000:6000])
        with open("/run/tmp/patch", "wb") as f:
            f.write(b"x" * 2000)
        self.upload("v", "/run/tmp/patch", "--offset", "500")
        with open(FOLDER + "/v", "rb") as f:
            self.assertEqual(f.read(3000), whole[:500] + b"x" * 2000 + whole[2500:3000])
        pool.storageVolLookupByName("v").delete()

    def test_sparse_round_trip(self):
        pool = self.pool()
        size = 64 * MIB
        with open("/run/tmp/holes", "wb") as f:
            f.truncate(size)
            for at in (0, 20 * MIB, 40 * MIB):
                f.seek(at)
                f.write(os.urandom(MIB))
        pool.createXML(volume_xml("v", size, 0))
        self.upload("v", "/run/tmp/holes", "--sparse")
        self.assertEqual(content(FOLDER + "/v"), content("/run/tmp/holes"))
        self.assertLess(os.stat(FOLDER + "/v").st_blocks * 512, 16 * MIB)
        self.download("v", "/run/tmp/back", "--sparse")
        self.assertEqual(content("/run/tmp/back"), content("/run/tmp/holes"))
        self.assertLess(os.stat("/run/tmp/back").st_blocks * 512, 16 * MIB)

    @world.only_lodge  # libvirtd leaves what was there in place of holes
    def test_holes_show_nothing_of_before(self):
        pool = self.pool()
        volume = pool.createXML(volume_xml("v", 4 * MIB))
        with open(volume.path(), "r+b") as f:
            f.write(b"secret" * 1000)
        with open("/run/tmp/holes", "wb") as f:
            f.truncate(4 * MIB)
        self.upload("v", "/run/tmp/holes", "--sparse")
        self.assertEqual(content(volume.path()), content("/run/tmp/holes"))

    def test_upload_refreshes_the_pool(self):
        pool = self.pool()
        run("qemu-img", "create", "-q", "-f", "qcow2", "/run/tmp/image", "1G")
        pool.createXML(volume_xml("v", os.stat("/run/tmp/image").st_size))
        self.upload("v", "/run/tmp/image")
        volume = pool.storageVolLookupByName("v")
        wait_for(lambda: "<format type='qcow2'/>" in volume.XMLDesc(), 20, "the pool to see the image")
        self.assertEqual(volume.info()[1], 1 << 30)

    def test_too_much_is_refused(self):
        pool = self.pool()
        volume = pool.createXML(volume_xml("v", MIB))
        stream = self.conn.newStream()
        volume.upload(stream, 0, 1000)
        with self.assertRaises(libvirt.libvirtError):
            for _ in range(100):
                stream.send(b"y" * 100000)
            stream.finish()
        with contextlib.suppress(libvirt.libvirtError):
            stream.abort()
        self.assertEqual(self.conn.storageVolLookupByPath(FOLDER + "/v").name(), "v")

    @world.only_lodge  # libvirtd counts a stream's volume as used only while it opens it
    def test_a_volume_in_use_stays(self):
        pool = self.pool()
        volume = pool.createXML(volume_xml("v", MIB))
        stream = self.conn.newStream()
        volume.upload(stream, 0, 0)
        for attempt in (volume.delete, volume.wipe, lambda: volume.resize(2 * MIB)):
            with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "volume 'v' is still in use."):
                attempt()
        stream.send(b"abc")
        stream.finish()
        with open(volume.path(), "rb") as f:
            self.assertEqual(f.read(3), b"abc")
        volume.delete()

    def test_a_lost_client_lets_go(self):
        pool = self.pool()
        pool.createXML(volume_xml("v", MIB))
        other = libvirt.open(world.URI)
        stream = other.newStream()
        other.storageVolLookupByPath(FOLDER + "/v").upload(stream, 0, 0)
        stream.send(b"abc")
        stream.abort()
        other.close()

        def gone():
            with contextlib.suppress(libvirt.libvirtError):
                pool.storageVolLookupByName("v").delete()
            return not os.path.exists(FOLDER + "/v")

        wait_for(gone, 20, "the volume to be free again")


class Busy(Storage):
    """Long work on volumes holds up nobody else."""

    @world.only_lodge  # a fake qemu-img at the daemon's place
    def test_slow_creation(self):
        gate = "/run/tmp/gate"
        os.makedirs("/usr/local/bin", exist_ok=True)
        fake = "/usr/local/bin/qemu-img"
        with open(fake, "w") as f:
            f.write(f"#!/bin/sh\nwhile ! [ -e {gate} ]; do sleep 0.05; done\nexec /usr/bin/qemu-img \"$@\"\n")
        os.chmod(fake, 0o755)
        self.addCleanup(os.unlink, fake)
        self.conn.close()
        world.daemon.restart()
        self.conn = self.connect()
        pool = self.pool()
        failures = []

        def create():
            try:
                with contextlib.closing(libvirt.open(world.URI)) as conn:
                    conn.storagePoolLookupByName("p").createXML(volume_xml("slow", kind="qcow2"))
            except libvirt.libvirtError as error:
                failures.append(error)

        worker = threading.Thread(target=create)
        worker.start()
        wait_for(lambda: "slow" in pool.listVolumes(), 20, "the volume in the making to be listed")
        slow = pool.storageVolLookupByName("slow")
        self.assertEqual(slow.info()[1], 4 * MIB)
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "volume 'slow' is still being allocated."):
            slow.delete()
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "pool 'p' has asynchronous jobs running."):
            pool.destroy()
        pool.createXML(volume_xml("quick")).delete()
        self.assertFalse(os.path.exists(FOLDER + "/slow"))
        open(gate, "w").close()
        self.addCleanup(os.unlink, gate)
        worker.join(30)
        self.assertEqual(failures, [])
        self.assertEqual(image_info(FOLDER + "/slow")["format"], "qcow2")
        slow.delete()


class Guests(Storage):
    def test_disk_from_a_volume(self):
        pool = self.pool()
        pool.createXML(volume_xml("v", 16 * MIB, 0, "qcow2"))
        disk = (
            "<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/><source pool='p' volume='{}'/>"
            "<target dev='vda' bus='virtio'/></disk>"
        )
        dom = self.conn.defineXML(world.bare_xml("guest", devices=disk.format("v")))
        dom.create()
        self.assertIn("<source pool='p' volume='v'", dom.XMLDesc())
        with open(f"/proc/{world.qemu_pid('guest')}/cmdline") as f:
            self.assertIn(FOLDER + "/v", f.read())
        dom.destroy()
        dom.undefine()
        dom = self.conn.defineXML(world.bare_xml("guest", devices=disk.format("none")))
        with self.refused(libvirt.VIR_ERR_NO_STORAGE_VOL, "no storage vol with matching name 'none'"):
            dom.create()
        pool.destroy()
        with self.refused(libvirt.VIR_ERR_NO_STORAGE_POOL, "no storage pool with matching name 'p'"):
            dom.create()


if __name__ == "__main__":
    world.main()
