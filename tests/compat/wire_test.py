#!/usr/bin/python3
"""Raw bytes on the daemon's socket: what no well-behaved client would send. The right error or a closed connection, no harm,
and nobody else delayed."""

import contextlib
import os
import random
import resource
import socket
import struct
import time

import libvirt
import world

REMOTE, QEMU, LXC, ADMIN, KEEPALIVE = 0x20008086, 0x20008087, 0x20008088, 0x06900690, 0x6B656570
OPEN, CLOSE, GET_TYPE, GET_VERSION, GET_HOSTNAME, SUPPORTS, AUTH_LIST, DEFINE = 1, 2, 3, 4, 59, 60, 66, 11
FEATURE_KEEPALIVE = 10
CALL, REPLY, EVENT, STREAM = 0, 1, 2, 3
OK, ERROR, CONTINUE = 0, 1, 2
VIR_ERR_RPC = 39


def string(text):
    data = text.encode()
    return struct.pack(">I", len(data)) + data + b"\0" * (-len(data) % 4)


def frame(procedure, payload=b"", program=REMOTE, version=1, kind=CALL, serial=1, status=OK):
    return struct.pack(">IIIIIII", 28 + len(payload), program, version, procedure, kind, serial, status) + payload


class Peer:
    def __init__(self, path=world.SOCKET):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(path)

    def send(self, data):
        self.socket.sendall(data)

    def exactly(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def receive(self):
        """(program, procedure, kind, serial, status, payload)"""
        size = struct.unpack(">I", self.exactly(4))[0]
        body = self.exactly(size - 4)
        program, _, procedure, kind, serial, status = struct.unpack(">IIIIII", body[:24])
        return program, procedure, kind, serial, status, body[24:]

    def call(self, procedure, payload=b"", **more):
        self.send(frame(procedure, payload, **more))
        return self.receive()

    def error(self, procedure, payload=b"", **more):
        """The (code, message) that this call is refused with."""
        status, body = self.call(procedure, payload, **more)[4:]
        assert status == ERROR, f"procedure {procedure} was not refused"
        code, _domain, present = struct.unpack(">iiI", body[:12])
        size = struct.unpack(">I", body[12:16])[0] if present else 0
        return code, body[16 : 16 + size].decode()

    def open(self, uri="qemu:///system", flags=0):
        assert self.call(AUTH_LIST)[4] == OK
        assert self.call(OPEN, struct.pack(">I", 1) + string(uri) + struct.pack(">I", flags))[4] == OK
        return self

    def closed(self, seconds=10):
        """True when the daemon closes the connection in time."""
        self.socket.settimeout(seconds)
        with contextlib.suppress(ConnectionError):
            try:
                while self.socket.recv(65536):
                    pass
            except socket.timeout:
                return False
        return True

    def close(self):
        self.socket.close()


class Wire(world.Case):
    def peer(self, path=world.SOCKET):
        peer = Peer(path)
        self.addCleanup(peer.close)
        return peer

    def tearDown(self):
        begun = time.monotonic()
        self.assertEqual(self.connect().getHostname(), "lodge-world")
        self.assertLess(time.monotonic() - begun, 2, "another client is served at once")
        super().tearDown()

    def memory(self):
        with open(f"/proc/{world.daemon.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))

    def test_a_plain_conversation(self):
        peer = self.peer().open()
        program, procedure, kind, serial, status, body = peer.call(GET_TYPE, serial=77)
        self.assertEqual((program, procedure, kind, serial, status), (REMOTE, GET_TYPE, REPLY, 77, OK))
        self.assertEqual(body, string("QEMU"))
        self.assertEqual(peer.call(CLOSE)[4], OK)

    def test_calls_before_authentication(self):
        self.assertEqual(self.peer().error(GET_TYPE), (VIR_ERR_RPC, "authentication required"))

    def test_calls_before_open(self):
        peer = self.peer()
        self.assertEqual(peer.call(AUTH_LIST)[4], OK)
        code, message = peer.error(GET_HOSTNAME)
        self.assertEqual(code, libvirt.VIR_ERR_INTERNAL_ERROR)
        self.assertIn("connection not open", message)

    def test_unknown_program_version_and_procedure(self):
        peer = self.peer().open()
        self.assertEqual(peer.error(1, program=0x12345678)[0], VIR_ERR_RPC)
        self.assertEqual(peer.error(GET_TYPE, version=99)[0], VIR_ERR_RPC)
        self.assertEqual(peer.error(60000), (VIR_ERR_RPC, "unknown procedure: 60000"))
        self.assertEqual(peer.error(0)[0], VIR_ERR_RPC)
        self.assertEqual(peer.call(GET_TYPE)[4], OK)

    def test_replies_nobody_asked_for(self):
        peer = self.peer().open()
        peer.send(frame(GET_TYPE, kind=REPLY))
        peer.send(frame(GET_TYPE, kind=EVENT))
        with contextlib.suppress(EOFError, ConnectionError):
            peer.call(GET_TYPE)

    def test_unknown_type_and_status(self):
        for kind, status in ((17, OK), (CALL, 99), (STREAM, OK), (STREAM, CONTINUE)):
            peer = self.peer().open()
            peer.send(frame(GET_TYPE, kind=kind, status=status))
            peer.close()

    def test_payloads_that_end_too_early(self):
        for cut in range(0, 12):
            peer = self.peer().open()
            with self.subTest(cut=cut), contextlib.suppress(EOFError, ConnectionError):
                code, _ = peer.error(DEFINE, (struct.pack(">I", 100) + b"x" * 100)[:cut])
                self.assertEqual(code, VIR_ERR_RPC)
                self.assertEqual(peer.call(GET_TYPE)[4], OK)

    def test_strings_longer_than_what_is_there(self):
        peer = self.peer().open()
        for size in (5, 4194304, 4194305, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
            self.assertEqual(peer.error(DEFINE, struct.pack(">I", size) + b"abcd")[0], VIR_ERR_RPC)

    def test_absurd_lengths(self):
        for size in (0, 1, 3, 4, 27, 33554433 + 4, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
            with self.subTest(size=size):
                peer = self.peer()
                peer.send(struct.pack(">I", size) + b"\0" * 24)
                self.assertTrue(peer.closed())

    def test_an_announced_giant_costs_nothing(self):
        before = self.memory()
        peers = [self.peer().open() for _ in range(10)]
        for peer in peers:
            peer.send(struct.pack(">IIIIIII", 33554432, REMOTE, 1, DEFINE, CALL, 5, OK) + b"x" * 100)
        time.sleep(0.5)
        if world.IS_LODGE:  # the peer allocates what is announced (and Linux lends it lazily)
            self.assertLess(self.memory() - before, 4096)

    def test_half_a_frame_then_silence(self):
        for cut in (1, 3, 4, 5, 27):
            peer = self.peer()
            peer.send(frame(AUTH_LIST)[:cut])
            peer.close()

    def test_byte_by_byte(self):
        peer = self.peer()
        for byte in frame(AUTH_LIST):
            peer.send(bytes([byte]))
        self.assertEqual(peer.receive()[4], OK)

    def test_many_calls_in_one_write(self):
        peer = self.peer().open()
        peer.send(b"".join(frame(GET_TYPE, serial=i) for i in range(10, 200)))
        serials = sorted(peer.receive()[3] for _ in range(10, 200))
        self.assertEqual(serials, list(range(10, 200)))

    def test_readonly_socket_denies_whatever_the_client_asks(self):
        peer = self.peer(world.SOCKET_RO)
        peer.call(AUTH_LIST)
        status = peer.call(OPEN, struct.pack(">I", 1) + string("qemu:///system") + struct.pack(">I", 0))[4]
        if status == OK:
            code, message = peer.error(DEFINE, string(world.bare_xml("smuggled")))
            self.assertEqual(code, libvirt.VIR_ERR_OPERATION_DENIED)
            self.assertIn("read only", message)
        with contextlib.suppress(libvirt.libvirtError):
            self.connect().lookupByName("smuggled")
            self.fail("a read-only client defined a domain")

    def test_keepalive(self):
        peer = self.peer().open()
        peer.send(frame(1, program=KEEPALIVE, kind=EVENT, serial=0))
        program, procedure, kind, _, _, _ = peer.receive()
        self.assertEqual((program, procedure, kind), (KEEPALIVE, 2, EVENT))

    def test_a_client_that_answers_pings_stays(self):
        """They begin an interval after the client was last heard, however short that is beside the time to authenticate."""
        with self.pinging(interval=1, count=2):
            peer = self.peer().open()
            self.assertEqual(peer.call(SUPPORTS, struct.pack(">I", FEATURE_KEEPALIVE))[4:], (OK, struct.pack(">I", 1)))
            heard = time.monotonic()
            for _ in range(4):
                self.assertEqual(peer.receive()[:3], (KEEPALIVE, 1, EVENT))
                now = time.monotonic()
                self.assertGreater(now - heard, 0.8)
                self.assertLess(now - heard, 8)
                heard = now
                peer.send(frame(2, program=KEEPALIVE, kind=EVENT, serial=0))
            self.assertEqual(peer.call(GET_TYPE)[4], OK)

    def test_a_client_that_does_not_answer_pings_is_dropped(self):
        with self.pinging(interval=1, count=2):
            peer = self.peer().open()
            peer.call(SUPPORTS, struct.pack(">I", FEATURE_KEEPALIVE))
            heard = time.monotonic()
            for _ in range(2):
                self.assertEqual(peer.receive()[:3], (KEEPALIVE, 1, EVENT))
                now = time.monotonic()
                self.assertGreater(now - heard, 0.3, "no two at once")
                heard = now
            self.assertTrue(peer.closed(10))
            self.assertGreater(time.monotonic() - heard, 0.3, "there was time to answer")

    @contextlib.contextmanager
    def pinging(self, interval, count):
        """The daemon, with that between pings and so many of them."""
        conf = "/run/tmp/pinging.conf"
        with open(conf, "w") as f:
            f.write(f"keepalive_interval = {interval}\nkeepalive_count = {count}\n")
        world.daemon.stop()
        world.daemon.start("-f", conf)
        try:
            yield
        finally:
            world.daemon.restart()

    def test_streams_nobody_opened(self):
        peer = self.peer().open()
        for status in (CONTINUE, OK, ERROR):
            peer.send(frame(201, b"data", kind=STREAM, serial=4242, status=status))
        with contextlib.suppress(EOFError, ConnectionError, socket.timeout):
            peer.call(GET_TYPE)

    @world.only_lodge
    def test_a_silent_client_is_dropped(self):
        peer = self.peer()
        self.assertTrue(peer.closed(75), "a client that never authenticates is dropped in bounded time")

    def test_a_client_that_does_not_read_delays_nobody(self):
        peer = self.peer().open()
        peer.socket.settimeout(1)
        call = frame(7)  # capabilities: a big answer
        with contextlib.suppress(OSError):
            for _ in range(3000):
                peer.send(call * 50)
        begun = time.monotonic()
        for _ in range(100):
            self.assertEqual(self.connect().getType(), "QEMU")
        self.assertLess(time.monotonic() - begun, 10)
        if world.IS_LODGE:
            self.assertLess(self.memory(), 300 * 1024)

    def test_connections_that_come_and_go(self):
        def descriptors():
            return len(os.listdir(f"/proc/{world.daemon.process.pid}/fd"))

        self.connect().getHostname()
        before = descriptors()
        for i in range(300):
            peer = Peer()
            if i % 3:
                peer.send(frame(AUTH_LIST)[: 4 + i % 28])
            peer.close()
        world.wait_for(lambda: descriptors() <= before + 3, 10, "closed descriptors")

    def test_random_bytes(self):
        dice = random.Random(4711)
        for _ in range(200):
            peer = self.peer()
            with contextlib.suppress(OSError):
                if dice.random() < 0.5:
                    peer.open()
                for _ in range(dice.randrange(1, 5)):
                    payload = dice.randbytes(dice.randrange(0, 200))
                    if dice.random() < 0.7:
                        # CLOSE would end it, and 1..450 are the procedures; AUTH and OPEN included
                        payload = frame(dice.randrange(1, 450), payload, serial=dice.randrange(1 << 32))
                    peer.send(payload)
            peer.close()
        self.assertIsNone(world.daemon.process.poll())


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    world.main()
