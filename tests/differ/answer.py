#!/usr/bin/python3
"""Inside a world: starts the daemon and writes down what it answers to documents. Called by `differ`."""

import json
import os
import re
import resource
import sys
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "compat")]
import documents
import libvirt
import world

# A peer may take a document's number of things at its word, and the whole machine's memory with it.
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))

INACTIVE, SECURE = libvirt.VIR_DOMAIN_XML_INACTIVE, libvirt.VIR_DOMAIN_XML_SECURE
UNDEFINE = libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE


def ask_domain(conn, text, validate):
    domain = conn.defineXMLFlags(text, libvirt.VIR_DOMAIN_DEFINE_VALIDATE if validate else 0)
    return domain.XMLDesc(INACTIVE | SECURE), lambda: domain.undefineFlags(UNDEFINE)


def ask_native(conn, text, validate):
    return conn.domainXMLToNative("qemu-argv", text, 0), None


def ask_network(conn, text, validate):
    network = conn.networkDefineXMLFlags(text, libvirt.VIR_NETWORK_DEFINE_VALIDATE if validate else 0)
    return network.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE), network.undefine


def ask_pool(conn, text, validate):
    pool = conn.storagePoolDefineXML(text, libvirt.VIR_STORAGE_POOL_DEFINE_VALIDATE if validate else 0)
    return pool.XMLDesc(libvirt.VIR_STORAGE_XML_INACTIVE), pool.undefine


def ask_nwfilter(conn, text, validate):
    nwfilter = conn.nwfilterDefineXMLFlags(text, libvirt.VIR_NWFILTER_DEFINE_VALIDATE if validate else 0)
    return nwfilter.XMLDesc(), nwfilter.undefine


def ask_secret(conn, text, validate):
    secret = conn.secretDefineXML(text, libvirt.VIR_SECRET_DEFINE_VALIDATE if validate else 0)
    return secret.XMLDesc(), secret.undefine


def ask_volume(conn, text, validate):
    pool = volume_pool(conn)
    text = re.sub(r"<allocation[^>]*>[^<]*</allocation>", "<allocation>0</allocation>", text)  # no file of that size here
    volume = pool.createXML(text, libvirt.VIR_STORAGE_VOL_CREATE_VALIDATE if validate else 0)
    return re.sub(r"(?s)<timestamps>.*?</timestamps>|<physical.*?</physical>", "", volume.XMLDesc()), volume.delete


def volume_pool(conn):
    try:
        return conn.storagePoolLookupByName("differ")
    except libvirt.libvirtError:
        os.makedirs("/var/lib/libvirt/differ", exist_ok=True)
        return conn.storagePoolCreateXML("<pool type='dir'><name>differ</name><target><path>/var/lib/libvirt/differ</path></target></pool>")


def owner(conn, text):
    """The guest that a snapshot or checkpoint is of."""
    for left in conn.listAllDomains():  # by one that could not be removed
        left.undefineFlags(UNDEFINE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA)
    found = re.search(r"(?s)<domain\b.*?<uuid>([0-9a-f-]{36})</uuid>", text)
    xml = documents.MINIMAL % ("qemu", "pc")
    return conn.defineXML(re.sub("c7a5fdbd-edaf-9455-926a-d65c16db1809", found.group(1), xml) if found else xml)


def ask_snapshot(conn, text, validate):
    domain = owner(conn, text)
    everything = UNDEFINE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    try:
        flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | (libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_VALIDATE if validate else 0)
        return domain.snapshotCreateXML(text, flags).getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE), None
    finally:
        domain.undefineFlags(everything)


def ask_checkpoint(conn, text, validate):
    domain = owner(conn, text)
    try:
        flags = libvirt.VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE
        return domain.checkpointCreateXML(text, flags).getXMLDesc(libvirt.VIR_DOMAIN_CHECKPOINT_XML_SECURE), None
    finally:
        domain.undefineFlags(UNDEFINE | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA)


def ask_nodedev(conn, text, validate):
    device = conn.nodeDeviceDefineXML(text, 0) if "'mdev'" in text or '"mdev"' in text else conn.nodeDeviceCreateXML(text, 0)
    return device.XMLDesc(), device.undefine


def ask_device(conn, text, validate):
    domain = conn.defineXML(documents.MINIMAL % ("qemu", "pc"))
    domain.attachDeviceFlags(text, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    return domain.XMLDesc(INACTIVE | SECURE), None


def ask_update(conn, text, validate):
    domain = conn.defineXML(documents.RICH)
    domain.updateDeviceFlags(text, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    return domain.XMLDesc(INACTIVE | SECURE), None


ASK = {
    "domain": ask_domain,
    "native": ask_native,
    "network": ask_network,
    "pool": ask_pool,
    "nwfilter": ask_nwfilter,
    "secret": ask_secret,
    "volume": ask_volume,
    "snapshot": ask_snapshot,
    "checkpoint": ask_checkpoint,
    "nodedev": ask_nodedev,
    "device": ask_device,
    "update": ask_update,
}


def answer(conn, kind, text, validate):
    undo = None
    try:
        out, undo = ASK[kind](conn, text, validate)
        return {"xml": out}
    except libvirt.libvirtError as error:
        return {"code": error.get_error_code(), "domain": error.get_error_domain(), "text": error.get_error_message()}
    finally:
        if undo:
            undo()


class Patience:
    """Kills a daemon that has thought about one document for too long."""

    LIMIT = 20  # seconds

    def __init__(self):
        self.since = None
        threading.Thread(target=self.watch, daemon=True).start()

    def __enter__(self):
        self.since = time.monotonic()

    def __exit__(self, *_):
        self.since = None

    def watch(self):
        while True:
            time.sleep(1)
            since = self.since
            if since and time.monotonic() - since > self.LIMIT:
                self.since = None
                world.daemon.process.kill()


def main():
    kind, validate, asked, answered = sys.argv[1], sys.argv[2] == "validate", sys.argv[3], sys.argv[4]
    libvirt.registerErrorHandler(lambda *_: None, None)
    os.environ.pop("TMPDIR", None)  # a daemon would hand it on to QEMU
    with open(asked) as f:
        texts = json.load(f)
    world.daemon.start()
    conn = libvirt.open(world.URI)
    patience = Patience()
    with open(answered, "w") as out:
        for key, text in texts.items():
            try:
                with patience:
                    result = answer(conn, kind, text, validate)
            except libvirt.libvirtError as error:  # could not be undefined
                result = {"code": -1, "domain": -1, "text": "undefine: " + str(error)}
            if not conn.isAlive() or world.daemon.process.poll() is not None:
                result = {"code": -1, "domain": -1, "text": "the daemon died"}
                world.daemon.process.kill()
                world.daemon.process.wait()
                world.daemon.process = None
                time.sleep(0.1)
                world.daemon.start()
                conn = libvirt.open(world.URI)
            out.write(json.dumps([key, result]) + "\n")
    conn.close()
    world.daemon.stop()


main()
