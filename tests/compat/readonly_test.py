#!/usr/bin/python3
"""The read-only socket: every call that changes something is denied there, whatever it says, and those that only look are not.
Walks all procedures by the protocol's own table."""

import json
import os

import libvirt
import world
from wire_test import QEMU, REMOTE, Peer, string

import struct

AUTH_LIST, OPEN = 66, 1
PROGRAMS = {"remote": REMOTE, "qemu": QEMU}


def procedures(program):
    with open(os.path.join(world.ROOT, "rpc", "protocol", program + ".json")) as f:
        return [p for p in json.load(f)["procedures"] if not p["event"]]


@world.only_lodge  # the peer reads a call's arguments before it looks at who asks
class ReadOnly(world.Case):
    def peer(self):
        peer = Peer(world.SOCKET_RO)
        self.addCleanup(peer.close)
        peer.call(AUTH_LIST)
        peer.call(OPEN, struct.pack(">I", 1) + string(world.URI) + struct.pack(">I", 1))
        return peer

    def test_every_change_is_denied(self):
        seen = 0
        for program, number in PROGRAMS.items():
            peer = self.peer()
            for procedure in procedures(program):
                if procedure.get("readonly") != "denied":
                    continue
                code, message = peer.error(procedure["number"], program=number)
                self.assertEqual(code, libvirt.VIR_ERR_OPERATION_DENIED, f"{procedure['name']}: {message}")
                self.assertIn("read only access prevents", message)
                seen += 1
        self.assertGreater(seen, 190)

    def test_what_only_looks_is_not_denied(self):
        without = {"AUTH_SASL_INIT", "AUTH_SASL_START", "AUTH_SASL_STEP", "AUTH_POLKIT", "CONNECT_OPEN", "CONNECT_CLOSE", "AUTH_LIST"}
        for program, number in PROGRAMS.items():
            for procedure in procedures(program):
                if procedure.get("readonly") == "denied" or procedure["name"] in without:
                    continue
                status, body = self.peer().call(procedure["number"], program=number)[4:]
                if status:
                    code = struct.unpack(">i", body[:4])[0]
                    self.assertNotEqual(code, libvirt.VIR_ERR_OPERATION_DENIED, procedure["name"])

    def test_flags_that_need_more(self):
        self.connect().defineXML(world.bare_xml("secret"))
        dom = self.connect(readonly=True).lookupByName("secret")
        dom.XMLDesc(0)
        with self.refused(libvirt.VIR_ERR_OPERATION_DENIED):
            dom.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)


if __name__ == "__main__":
    world.main()
