#!/usr/bin/python3
"""Displays: who may look, by which port or descriptor, with which password, and who hears of it."""

import contextlib
import os
import socket
import struct
import subprocess
import time
import xml.etree.ElementTree as ET

import libvirt
import world
from world import wait_for

LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG
SKIP = libvirt.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH
VNC = "<graphics type='vnc' autoport='yes'{more}/><video><model type='vga'/></video>"
SPICE = "<graphics type='spice' autoport='yes'{more}/><video><model type='vga'/></video>"
NONE, VNC_AUTH = 1, 2  # security types of RFB


def take(sock, count):
    got = b""
    while len(got) < count:
        piece = sock.recv(count - len(got))
        if not piece:
            raise EOFError(f"{len(got)} of {count} bytes")
        got += piece
    return got


def greet(sock):
    """RFB up to the offered security types."""
    sock.settimeout(30)
    banner = take(sock, 12)
    assert banner == b"RFB 003.008\n", banner
    sock.sendall(banner)
    return list(take(sock, take(sock, 1)[0]))


def des(key, block):
    mirrored = bytes(int(f"{byte:08b}"[::-1], 2) for byte in key)
    command = ["openssl", "enc", "-des-ecb", "-nopad", "-provider", "legacy", "-provider", "default", "-K", mirrored.hex()]
    return subprocess.run(command, input=block, capture_output=True, check=True).stdout


def knock(port, password):
    """True when a VNC server takes the password."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), 30)) as sock:
        assert VNC_AUTH in greet(sock)
        sock.sendall(bytes([VNC_AUTH]))
        sock.sendall(des(password.encode().ljust(8, b"\0")[:8], take(sock, 16)))
        return struct.unpack(">I", take(sock, 4))[0] == 0


class Graphics(world.Case):
    CONF = ""

    @classmethod
    def setUpClass(cls):
        with open("/etc/libvirt/qemu.conf", "a") as f:
            f.write(cls.CONF)
        super().setUpClass()

    def setUp(self):
        self.conn = self.connect()

    def guest(self, name, devices, start=True):
        dom = self.conn.defineXML(world.bare_xml(name, devices=devices))
        if start:
            dom.create()
        return dom

    def graphics(self, dom, flags=libvirt.VIR_DOMAIN_XML_SECURE):
        return ET.fromstring(dom.XMLDesc(flags)).find("devices/graphics")

    def port(self, dom):
        return int(self.graphics(dom).get("port"))


class ByDescriptor(Graphics):
    def test_a_descriptor_of_the_daemons(self):
        dom = self.guest("lent", VNC.format(more=" passwd='secret'"))
        for flags, offered in ((0, VNC_AUTH), (SKIP, NONE)):
            with socket.socket(fileno=dom.openGraphicsFD(0, flags)) as sock:
                self.assertEqual(greet(sock), [offered])

    def test_a_descriptor_of_the_clients(self):
        dom = self.guest("given", VNC.format(more=""))
        ours, theirs = socket.socketpair()
        with ours, theirs:
            dom.openGraphics(0, theirs.fileno(), SKIP)
            self.assertEqual(greet(ours), [NONE])

    def test_spice(self):
        dom = self.guest("spicy", SPICE.format(more=""))
        with socket.socket(fileno=dom.openGraphicsFD(0, SKIP)) as sock:
            sock.settimeout(30)
            # A link message for the main channel, without any capabilities.
            body = struct.pack("<IBBIII", 0, 1, 0, 0, 0, 18)
            sock.sendall(b"REDQ" + struct.pack("<III", 2, 2, len(body)) + body)
            self.assertEqual(take(sock, 4), b"REDQ")

    def test_without_a_port(self):
        dom = self.guest("portless", "<graphics type='vnc'><listen type='none'/></graphics><video><model type='vga'/></video>")
        with socket.socket(fileno=dom.openGraphicsFD(0, 0)) as sock:
            self.assertEqual(greet(sock), [NONE])

    def test_refusals(self):
        dom = self.guest("screenless", "<graphics type='egl-headless'/><video><model type='vga'/></video>", start=False)
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "domain is not running"):
            dom.openGraphicsFD(0, 0)
        plain = self.guest("plain", VNC.format(more=""))
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "No graphics backend with index 1"):
            plain.openGraphicsFD(1, 0)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "unsupported flags"):
            plain.openGraphicsFD(0, 8)
        reader = self.connect(readonly=True).lookupByName("plain")
        with self.refused(libvirt.VIR_ERR_OPERATION_DENIED, "read only access"):
            reader.openGraphicsFD(0, 0)


class Passwords(Graphics):
    def update(self, dom, more, flags=LIVE):
        dom.updateDeviceFlags(f"<graphics type='vnc' autoport='yes' port='{self.port(dom)}' listen='127.0.0.1'{more}/>", flags)

    def test_a_password_is_changed_and_runs_out(self):
        dom = self.guest("locked", VNC.format(more=" passwd='first'"))
        port = self.port(dom)
        self.assertTrue(knock(port, "first"))
        self.assertFalse(knock(port, "second"))
        self.update(dom, " passwd='second'")
        self.assertFalse(knock(port, "first"))
        self.assertTrue(knock(port, "second"))
        self.assertEqual(self.graphics(dom).get("passwd"), "second")
        self.assertIsNone(self.graphics(dom, 0).get("passwd"))
        self.update(dom, " passwd='second' passwdValidTo='2001-01-01T00:00:00'")
        self.assertFalse(knock(port, "second"))
        self.assertEqual(self.graphics(dom).get("passwdValidTo"), "2001-01-01T00:00:00")
        later = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 3600))
        self.update(dom, f" passwd='second' passwdValidTo='{later}'")
        self.assertTrue(knock(port, "second"))

    def test_an_empty_password_lets_nobody_in(self):
        dom = self.guest("shut", VNC.format(more=" passwd=''"))
        self.assertEqual(self.graphics(dom).get("passwd"), "")
        self.assertFalse(knock(self.port(dom), ""))
        self.update(dom, " passwd='open'")
        self.assertTrue(knock(self.port(dom), "open"))
        self.update(dom, " passwd=''")
        self.assertFalse(knock(self.port(dom), ""))
        self.assertFalse(knock(self.port(dom), "open"))

    def test_a_password_that_has_run_out_when_the_guest_starts(self):
        dom = self.guest("stale", VNC.format(more=" passwd='first' passwdValidTo='2001-01-01T00:00:00'"))
        self.assertFalse(knock(self.port(dom), "first"))

    def test_what_else_of_a_display_cannot_change(self):
        dom = self.guest("rigid", VNC.format(more=" passwd='first'"))
        for xml, words in (
            ("<graphics type='vnc' port='5999' listen='127.0.0.1'/>", "cannot change port settings on vnc graphics"),
            ("<graphics type='vnc' autoport='yes' listen='127.0.0.2'/>", "cannot change listen address setting on 'vnc' graphics"),
            ("<graphics type='vnc' autoport='yes' listen='127.0.0.1' keymap='de'/>", "cannot change keymap setting on vnc graphics"),
        ):
            with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, words):
                dom.updateDeviceFlags(xml, LIVE)


class General(Graphics):
    """What qemu.conf says of all displays."""

    CONF = 'vnc_password = "general"\nremote_display_port_min = 5950\nremote_display_port_max = 5951\nremote_websocket_port_min = 5750\n'

    def test_ports_come_from_the_range(self):
        first = self.guest("first", VNC.format(more=" websocket='-1'"))
        self.assertEqual((self.port(first), self.graphics(first).get("websocket")), (5950, "5750"))
        self.guest("second", VNC.format(more=""))
        third = self.guest("third", SPICE.format(more=""), start=False)
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "Unable to find an unused port in range 'display' (5950-5951)"):
            third.create()
        first.destroy()
        third.create()
        self.assertEqual(self.port(third), 5950)

    def test_the_general_password_holds_where_there_is_none(self):
        dom = self.guest("common", VNC.format(more=""))
        self.assertTrue(knock(self.port(dom), "general"))
        dom.destroy()
        own = self.guest("own", VNC.format(more=" passwd='mine'"))
        self.assertTrue(knock(self.port(own), "mine"))
        self.assertFalse(knock(self.port(own), "general"))

    def test_a_port_that_somebody_has(self):
        with contextlib.closing(socket.create_server(("127.0.0.1", 5960))):
            dom = self.guest("late", "<graphics type='vnc' port='5960'/>", start=False)
            with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "Address already in use"):
                dom.create()
        self.assertFalse(dom.isActive())
        with contextlib.closing(socket.create_server(("127.0.0.1", 5950))):
            self.assertEqual(self.port(self.guest("dodging", VNC.format(more=""))), 5951)

    def test_a_tls_port_without_tls(self):
        dom = self.guest("tls", "<graphics type='spice' autoport='yes' defaultMode='secure'/>", start=False)
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "spice TLS is disabled in qemu.conf"):
            dom.create()


class Events(Graphics):
    def test_clients_come_and_go(self):
        events = world.Events()
        self.addCleanup(events.close)
        seen = []
        told = lambda _conn, dom, phase, local, remote, auth, subject, _: seen.append((dom.name(), phase, local, remote, auth, subject))
        events.ids.append(events.conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_GRAPHICS, told, None))
        dom = self.guest("watched", VNC.format(more=""))
        with contextlib.closing(socket.create_connection(("127.0.0.1", self.port(dom)))) as sock:
            ours = sock.getsockname()
            self.assertEqual(greet(sock), [NONE])
            sock.sendall(bytes([NONE]))
            take(sock, 4)
            sock.sendall(b"\1")  # a shared session
            take(sock, 24)
            wait_for(lambda: len(seen) == 2, 20, f"both events; seen: {seen}")
        wait_for(lambda: len(seen) == 3, 20, f"three events; seen: {seen}")
        phases = [libvirt.VIR_DOMAIN_EVENT_GRAPHICS_CONNECT, libvirt.VIR_DOMAIN_EVENT_GRAPHICS_INITIALIZE, libvirt.VIR_DOMAIN_EVENT_GRAPHICS_DISCONNECT]
        self.assertEqual([event[1] for event in seen], phases)
        for name, _, local, remote, auth, subject in seen:
            self.assertEqual(name, "watched")
            self.assertEqual(local, {"family": 0, "node": "127.0.0.1", "service": str(self.port(dom))})
            self.assertEqual(remote, {"family": 0, "node": "127.0.0.1", "service": str(ours[1])})
            self.assertEqual((auth, subject), ("none", []))


if __name__ == "__main__":
    world.main()
