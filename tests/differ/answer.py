#!/usr/bin/python3
"""Inside a world: starts the daemon and writes down what it answers to documents. Called by `differ`."""

import json
import os
import resource
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "compat"))
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


ASK = {"domain": ask_domain, "native": ask_native, "network": ask_network, "pool": ask_pool, "nwfilter": ask_nwfilter, "secret": ask_secret}


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


def main():
    kind, validate, asked, answered = sys.argv[1], sys.argv[2] == "validate", sys.argv[3], sys.argv[4]
    libvirt.registerErrorHandler(lambda *_: None, None)
    os.environ.pop("TMPDIR", None)  # a daemon would hand it on to QEMU
    with open(asked) as f:
        texts = json.load(f)
    world.daemon.start()
    conn = libvirt.open(world.URI)
    with open(answered, "w") as out:
        for key, text in texts.items():
            try:
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
