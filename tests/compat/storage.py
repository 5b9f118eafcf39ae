"""What the tests of pools and of volumes share."""

import contextlib
import hashlib
import json
import os
import shutil

import libvirt

import world
from world import run

FOLDER = "/var/lib/libvirt/pool-under-test"
MIB = 1 << 20


def pool_xml(name="p", path=FOLDER, kind="dir", source=""):
    return f"<pool type='{kind}'><name>{name}</name>{source}<target><path>{path}</path></target></pool>"


def volume_xml(name, capacity=4 * MIB, allocation=None, kind="raw", target="", more=""):
    given = "" if allocation is None else f"<allocation>{allocation}</allocation>"
    return (
        f"<volume><name>{name}</name><capacity>{capacity}</capacity>{given}"
        f"<target><format type='{kind}'/>{target}</target>{more}</volume>"
    )


def image_info(path):
    return json.loads(run("qemu-img", "info", "--output=json", path).out)


def content(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class Storage(world.Case):
    def setUp(self):
        self.conn = self.connect()
        shutil.rmtree(FOLDER, ignore_errors=True)
        os.makedirs(FOLDER)

    def tearDown(self):
        super().tearDown()
        with contextlib.closing(libvirt.open(world.URI)) as conn:
            for pool in conn.listAllStoragePools():
                with contextlib.suppress(libvirt.libvirtError):
                    pool.destroy()
                with contextlib.suppress(libvirt.libvirtError):
                    pool.undefine()

    def pool(self, name="p", **more):
        return self.conn.storagePoolCreateXML(pool_xml(name, **more))
