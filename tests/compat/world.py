"""What every test of this folder stands on: the private world, the daemon in it, stock virsh, events, and a real guest.

A test file ends with `world.main()`. Run by hand, it puts itself into a world first:
    tests/compat/lifecycle_test.py                         against build/debug (or LODGE_PRESET)
    LODGE_PEER=libvirtd tests/compat/lifecycle_test.py     against Debian's libvirtd, which proves the test itself
"""

import codecs
import contextlib
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

import libvirt

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PEER = os.environ.get("LODGE_PEER", "lodged")
IS_LODGE = PEER == "lodged"
URI = "qemu:///system"
SOCKET = "/run/libvirt/libvirt-sock"
SOCKET_RO = "/run/libvirt/libvirt-sock-ro"
UPLINK = "198.51.100.1"  # the far side of the NAT
BOOT = "/var/lib/libvirt/boot"  # where QEMU's account may read
IMAGES = "/var/lib/libvirt/images"
KERNEL = BOOT + "/vmlinuz"
INITRD = BOOT + "/initrd.gz"
AGENT_INITRD = BOOT + "/agent.gz"  # with a guest agent
FAKES = os.path.join(ROOT, "tests", "fakes")
LOG = "/var/log/libvirt/daemon-under-test.log"

# Limits tell a hung program from a slow one, and the machine may be busy with other things: each is taken this many times.
PATIENCE = int(os.environ.get("LODGE_PATIENCE", "6"))

only_lodge = unittest.skipUnless(IS_LODGE, "the peer behaves differently here")


def preset():
    return os.environ.get("LODGE_PRESET", "debug")


def main():
    """Runs the calling file's tests, inside a world."""
    if os.environ.get("LODGE_WORLD"):
        unittest.main(testRunner=unittest.TextTestRunner(verbosity=2, resultclass=InOrder))
        return
    command = [os.path.join(ROOT, "tests", "world")]
    if IS_LODGE:
        build = os.path.join(ROOT, "build", preset())
        stage = os.path.join(build, "stage")
        if not os.environ.get("LODGE_STAGED"):
            subprocess.run(["cmake", "--install", build], env=dict(os.environ, DESTDIR=stage), check=True, stdout=subprocess.DEVNULL)
        command += ["--stage", stage]
    subprocess.run([os.path.join(ROOT, "tests", "guest", "make-guest"), os.path.join(ROOT, "build", "guest")], check=True)
    os.execv(command[0], command + ["--", "/usr/bin/python3"] + sys.argv)


def wait_for(condition, seconds=10, what="condition"):
    """Polls until condition() is true and returns its value. What is text, or a function that says how it stands at the end."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds * PATIENCE} s: {what() if callable(what) else what}")
        time.sleep(0.02)


class Result:
    def __init__(self, done):
        self.rc, self.out, self.err = done.returncode, done.stdout, done.stderr

    def __repr__(self):
        return f"rc {self.rc}\nstdout: {self.out}\nstderr: {self.err}"


def run(*args, check=True, timeout=60 * PATIENCE, **more):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, **more)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, args))}: {Result(done)}\n{daemon.log_tail()}")
    return Result(done)


def virsh(*args, check=True, uri=URI, timeout=60 * PATIENCE, readonly=False):
    """Stock virsh. The result has .out, .err and .rc."""
    return run("virsh", "-c", uri, *(["-r"] if readonly else []), *args, check=check, timeout=timeout)


class Daemon:
    """A daemon at its standard paths; the one under test is lodged, or libvirtd with LODGE_PEER=libvirtd."""

    def __init__(self, program=PEER):
        self.program = program
        self.process = None
        self.logd = None

    def start(self, *options):
        assert self.process is None
        if self.program == "libvirtd" and self.logd is None:
            self.logd = subprocess.Popen(["virtlogd"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.makedirs(os.path.dirname(LOG), exist_ok=True)
        with open(LOG, "ab") as log:
            self.process = subprocess.Popen([self.program, *options], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_for(self.answers, 20, f"{self.program} listens on {SOCKET}")
        if self.program == "libvirtd":
            virsh("list")
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.program} ended with {self.process.returncode}\n{self.log_tail()}")
        # A killed daemon leaves sockets behind, which a child of its may hold for a moment; clients take virtqemud's where they see it.
        for path in (SOCKET, "/run/libvirt/virtqemud-sock"):
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as peer:
                if path != SOCKET and not os.path.exists(path):
                    continue
                if peer.connect_ex(path) != 0:
                    return False
                owner, _, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
                if owner != self.process.pid:
                    return False
        return True

    def stop(self, sig=signal.SIGTERM):
        if self.process is None:
            return
        self.process.send_signal(sig)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.program} did not end within 30 s of signal {sig}\n{self.log_tail()}")
        finally:
            self.process = None

    def stop_logd(self):
        if self.logd is not None:
            self.logd.terminate()
            self.logd.wait(30)
            self.logd = None

    def restart(self, sig=signal.SIGTERM):
        self.stop(sig)
        return self.start()

    def log_tail(self, lines=15):
        try:
            with open(LOG, errors="replace") as log:
                return "--- end of the daemon's log\n" + "".join(log.readlines()[-lines:])
        except OSError:
            return ""


daemon = Daemon()


def guest_files():
    """Puts what real guests boot where QEMU's account may read it."""
    os.makedirs(BOOT, exist_ok=True)
    os.makedirs(IMAGES, exist_ok=True)
    for name in ("vmlinuz", "initrd.gz", "agent.gz"):
        if not os.path.exists(f"{BOOT}/{name}"):
            shutil.copy(f"{ROOT}/build/guest/{name}", BOOT)
            os.chmod(f"{BOOT}/{name}", 0o644)


class InOrder(unittest.TextTestResult):
    """Tells each failure when it happens: those that follow may only come of it."""

    told = 0, 0

    def printErrors(self):
        errors, failures = self.told
        self.told = len(self.errors), len(self.failures)
        self.stream.writeln()
        self.printErrorList("ERROR", self.errors[errors:])
        self.printErrorList("FAIL", self.failures[failures:])
        self.stream.flush()


class Case(unittest.TestCase):
    """Starts the daemon once per class and removes every domain after each test."""

    @classmethod
    def setUpClass(cls):
        libvirt.registerErrorHandler(lambda *_: None, None)
        guest_files()
        daemon.start()

    @classmethod
    def tearDownClass(cls):
        daemon.stop()

    def run(self, result=None):
        before = len(result.failures) + len(result.errors) if result else 0
        done = super().run(result)
        if result and len(result.failures) + len(result.errors) > before:
            result.printErrors()
            print(daemon.log_tail(), file=sys.stderr)
        return done

    def tearDown(self):
        if daemon.process is None or daemon.process.poll() is not None:
            daemon.process = None
            daemon.start()
        with contextlib.closing(libvirt.open(URI)) as conn:
            for dom in conn.listAllDomains():
                with contextlib.suppress(libvirt.libvirtError):
                    if dom.isActive():
                        dom.destroy()
                with contextlib.suppress(libvirt.libvirtError):
                    dom.undefineFlags(
                        libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
                        | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
                        | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
                        | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
                    )

    def connect(self, uri=URI, readonly=False):
        conn = libvirt.openReadOnly(uri) if readonly else libvirt.open(uri)

        def close():
            with contextlib.suppress(libvirt.libvirtError):
                conn.close()

        self.addCleanup(close)
        return conn

    @contextlib.contextmanager
    def refused(self, code, *words, origin=None):
        """The block fails with this libvirt error code and a message that has all these words; from this part of libvirt, if given."""
        with self.assertRaises(libvirt.libvirtError) as caught:
            yield caught
        error = caught.exception
        self.assertEqual(error.get_error_code(), code, f"{error} (code {error.get_error_code()}, domain {error.get_error_domain()})")
        for word in words:
            self.assertIn(word, str(error))
        if origin is not None:
            self.assertEqual(error.get_error_domain(), origin, str(error))


class Events(threading.Thread):
    """libvirt's default event loop in a thread, collecting domain lifecycle events as (name, event, detail)."""

    registered = False

    def __init__(self, uri=URI):
        super().__init__(daemon=True)
        if not Events.registered:
            libvirt.virEventRegisterDefaultImpl()
            Events.registered = True
        self.seen = []
        self.ending = False
        self.conn = libvirt.open(uri)
        self.ids = [self.conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._lifecycle, None)]
        self.reboots = []
        self.ids.append(self.conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, self._reboot, None))
        self.start()

    def _lifecycle(self, _conn, dom, event, detail, _opaque):
        self.seen.append((dom.name(), event, detail))

    def _reboot(self, _conn, dom, _opaque):
        self.reboots.append(dom.name())

    def run(self):
        timer = libvirt.virEventAddTimeout(50, lambda *_: None, None)
        while not self.ending:
            libvirt.virEventRunDefaultImpl()
        libvirt.virEventRemoveTimeout(timer)

    def wait(self, name, event, detail=None, seconds=20):
        def found():
            return any(n == name and e == event and detail in (None, d) for n, e, d in self.seen)

        wait_for(found, seconds, lambda: f"event {event}/{detail} of {name}; seen: {self.seen}")

    def close(self):
        for number in self.ids:
            with contextlib.suppress(libvirt.libvirtError):
                self.conn.domainEventDeregisterAny(number)
        self.ending = True
        self.join(5)
        with contextlib.suppress(libvirt.libvirtError):
            self.conn.close()


class Console:
    """`virsh console` under a pseudo terminal, as a person has it."""

    def __init__(self, name, *options):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp("virsh", ["virsh", "-c", URI, "console", name, *options])
        fcntl.fcntl(self.fd, fcntl.F_SETFL, fcntl.fcntl(self.fd, fcntl.F_GETFL) | os.O_NONBLOCK)
        self.text = ""
        self.taken = 0
        self.decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self.escape = ""

    def pump(self, seconds=0.1):
        """Reads what is there; False at the end of the console."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except BlockingIOError:
            return True
        except OSError:
            return False
        # A read may end within an escape sequence: its beginning waits for the rest.
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.escape + self.decode(data))
        self.escape = re.search(r"(\x1b(\[[0-9;?]*)?)?$", text).group()
        self.text += text[: len(text) - len(self.escape)]
        return bool(data)

    def expect(self, pattern, seconds=30):
        """Waits for a regular expression in what came since the last match, and returns the match."""
        end = time.monotonic() + seconds * PATIENCE
        while True:
            match = re.search(pattern, self.text[self.taken :])
            if match:
                self.taken += match.end()
                return match
            if time.monotonic() > end:
                raise AssertionError(f"no '{pattern}' on the console within {seconds * PATIENCE} s; it shows:\n{self.text[-3000:]}")
            if not self.pump():
                raise AssertionError(f"the console ended before '{pattern}'; it showed:\n{self.text[-3000:]}")

    def address(self, seconds=120):
        """The address that the guest got on the default network: a whole line, as what has come so far may end within a number."""
        return self.expect(r"GUEST-IP eth0 (192\.168\.122\.\d+)\r?\n", seconds).group(1)

    def send(self, text):
        os.write(self.fd, text.encode())

    def shell(self, command, seconds=30):
        """Runs a command in the guest's root shell and returns what it printed, without the ticks of the guest in between."""
        self.send(f"{command}; echo DO''NE $?\n")
        match = self.expect(r"(?s)(.*?)DONE (\d+)\r", seconds)
        return re.sub(r"GUEST-TICK \d+\r\n", "", match.group(1)), int(match.group(2))

    def close(self):
        with contextlib.suppress(OSError):
            os.close(self.fd)
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGTERM)
        with contextlib.suppress(OSError):
            os.waitpid(self.pid, 0)


def guest_xml(name, memory=192, nics=1, disks=(), extra="", kind="qemu", machine="q35", emulator=None, devices=""):
    """A real Linux guest with a serial console, on the default network."""
    drives = "".join(
        f"<disk type='file' device='disk'><driver name='qemu' type='{kind_of}'/><source file='{path}'/>"
        f"<target dev='vd{chr(97 + i)}' bus='virtio'/></disk>"
        for i, (path, kind_of) in enumerate(disks)
    )
    net = "<interface type='network'><source network='default'/><model type='virtio'/></interface>" * nics
    path = f"<emulator>{emulator}</emulator>" if emulator else ""
    return f"""<domain type='{kind}'>
  <name>{name}</name>
  <memory unit='MiB'>{memory}</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='{machine}'>hvm</type>
    <kernel>{KERNEL}</kernel>
    <initrd>{INITRD}</initrd>
    <cmdline>console=ttyS0 quiet no_timer_check</cmdline>
  </os>
  <features><acpi/></features>
  {extra}
  <devices>{path}{drives}{net}
    <serial type='pty'/><console type='pty'/>
    <memballoon model='none'/>{devices}
  </devices>
</domain>"""


def bare_xml(name, kind="qemu", memory=16, extra="", devices="", emulator=None):
    """A machine that boots nothing: cheap when only the daemon is looked at."""
    path = f"<emulator>{emulator}</emulator>" if emulator else ""
    return f"""<domain type='{kind}'><name>{name}</name><memory unit='MiB'>{memory}</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os>{extra}<devices>{path}<memballoon model='none'/>{devices}</devices></domain>"""


def default_network():
    """The default network, running (the peer leaves it inactive)."""
    if "default" not in virsh("net-list", "--name").out.split():
        virsh("net-start", "default")


def qemu_pid(name):
    with open(f"/run/libvirt/qemu/{name}.pid") as f:
        return int(f.read())


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def leases(network="default"):
    """MAC -> address of the leases that virsh shows."""
    found = {}
    for line in virsh("net-dhcp-leases", network).out.splitlines():
        words = line.split()
        if len(words) >= 5 and ":" in words[2]:
            found[words[2]] = words[4].split("/")[0]
    return found
