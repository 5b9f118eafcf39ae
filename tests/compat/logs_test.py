#!/usr/bin/python3
"""What a guest says into files of the host: it begins anew or goes on as the document says, and never fills the disk."""

import os
import signal

import libvirt
import world
from world import wait_for

FOLDER = "/var/log/libvirt/qemu"
LIMIT, BACKUPS = 8 << 10, 2
FIRST = "<serial type='pty'><target port='0'/></serial>"
CHATTY = """<serial type='file'><source path='{folder}/{name}-file.log'/><target port='1'/></serial>
<serial type='pty'><log file='{folder}/{name}-pty.log' append='{append}'/><target port='2'/></serial>"""


def read(path):
    with open(path, "rb") as f:
        return f.read()


def sizes(path):
    """Of the log and of its older parts, by the end of their names."""
    folder, name = os.path.split(path)
    return {entry.name[len(name) :]: entry.stat().st_size for entry in os.scandir(folder) if entry.name.startswith(name)}


class Logs(world.Case):
    @classmethod
    def setUpClass(cls):
        with open("/etc/libvirt/virtlogd.conf", "w") as f:
            f.write(f"max_size = {LIMIT}\nmax_backups = {BACKUPS}\n")
        super().setUpClass()

    def setUp(self):
        world.default_network()
        self.conn = self.connect()

    def boot(self, name, append="on"):
        xml = world.guest_xml(name, nics=0, machine="pc")
        devices = CHATTY.format(folder=FOLDER, name=name, append=append)
        dom = self.conn.defineXML(xml.replace("<serial type='pty'/>", FIRST + devices))
        dom.create()
        console = world.Console(name)
        self.addCleanup(console.close)
        console.expect("GUEST-TICK", 120)
        return dom, console

    def say(self, console, port, kib):
        """Numbered lines of 64 bytes, so that what is missing shows; a port is as slow as its line."""
        console.shell(f"stty -F /dev/ttyS{port} 115200; i=0; while [ $i -lt {kib * 16} ]; do printf '%063d\\n' $i; i=$((i+1)); done > /dev/ttyS{port}", 120)

    def test_a_log_is_cut_before_it_fills_the_disk(self):
        _, console = self.boot("chatty")
        for port, name in ((1, "file"), (2, "pty")):
            path = f"{FOLDER}/chatty-{name}.log"
            # Twice: what comes in one burst, because the host is busy, is cut once.
            for part in (".0", ".1"):
                self.say(console, port, 20)
                found = wait_for(lambda: part in sizes(path) and sizes(path)[""] <= LIMIT and sizes(path), 20, f"{path} is cut to {part}")
            self.assertEqual(set(found), {"", ".0", ".1"})
            for part in (".0", ".1"):
                self.assertLessEqual(found[part], LIMIT * 4)
            lines = b"".join(read(path + part) for part in (".1", ".0", "")).replace(b"\r", b"").split(b"\n")
            self.assertEqual(lines[-2], b"%063d" % (20 * 16 - 1))

    @world.only_lodge  # virtlogd's lines break where its blocks do; ours are whole
    def test_nothing_is_lost_between_the_parts(self):
        _, console = self.boot("whole")
        self.say(console, 1, 20)
        path = f"{FOLDER}/whole-file.log"
        wait_for(lambda: ".0" in sizes(path) and sizes(path)[""] <= LIMIT, 20, "the log is cut")
        text = b"".join(read(path + part) for part in (".1", ".0", "") if part in sizes(path)).replace(b"\r", b"")
        numbers = [int(line) for line in text.split(b"\n")[1:-1]]
        self.assertEqual(numbers, list(range(numbers[0], 20 * 16)))

    @world.only_lodge  # whose daemon may end at any moment
    def test_a_log_that_grew_without_a_daemon_is_cut_by_the_next(self):
        _, console = self.boot("alone")
        self.say(console, 1, 1)
        path = f"{FOLDER}/alone-file.log"
        world.daemon.stop(signal.SIGKILL)
        with open(path, "ab") as f:
            f.write(b"x" * (LIMIT * 3))
        world.daemon.start()
        wait_for(lambda: sizes(path)[""] <= LIMIT, 20, "the log is cut")
        self.assertLessEqual(sizes(path)[".0"], LIMIT + 4096)  # whole blocks are moved

    def test_append(self):
        for append, kept in (("on", True), ("off", False)):
            with self.subTest(append):
                name = f"again-{append}"
                for end in ("file", "pty"):
                    with open(f"{FOLDER}/{name}-{end}.log", "w") as f:
                        f.write("before\n")
                dom = self.conn.defineXML(
                    world.bare_xml(name, devices="<serial type='null'/>" + CHATTY.format(folder=FOLDER, name=name, append=append))
                )
                dom.create()
                self.assertEqual(b"before" in read(f"{FOLDER}/{name}-pty.log"), kept)
                self.assertNotIn(b"before", read(f"{FOLDER}/{name}-file.log"))
                dom.destroy()

    @world.only_lodge  # the peer's emulator writes into a pipe of virtlogd's
    def test_the_emulators_own_log(self):
        dom = self.conn.createXML(world.bare_xml("own"))
        path = f"{FOLDER}/own.log"
        self.assertIn(b"qemu-system", read(path))
        pid = world.qemu_pid("own")
        with open(f"/proc/{pid}/fd/2", "ab", buffering=0) as out:
            for number in range(3 * LIMIT // 64):
                out.write(b"%063d\n" % number)
        wait_for(lambda: ".0" in sizes(path) and sizes(path)[""] <= LIMIT, 20, "the log is cut")
        dom.destroy()
        wait_for(lambda: b"shutting down, reason=destroyed" in read(path), 10, "the end is told")


if __name__ == "__main__":
    world.main()
