"""The bare limit: does by hand what a daemon cannot do without. It says what the machine costs."""

import concurrent.futures
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import termios
import time
import tty

import world
import yardstick
from yardstick import LOAD, cpu, load, median, result, step, timed

EMULATOR = "/usr/bin/qemu-system-x86_64"


class Monitor:
    """QMP as a script speaks it."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.stream = self.socket.makefile("r")
        self.events = set()
        self.line()
        self.ask("qmp_capabilities")

    def line(self):
        line = self.stream.readline()
        if not line:
            raise EOFError
        return json.loads(line)

    def ask(self, command, fd=None, **arguments):
        text = json.dumps({"execute": command, "arguments": arguments}).encode()
        socket.send_fds(self.socket, [text], [fd] if fd is not None else [])
        while True:
            reply = self.line()
            if "event" in reply:
                self.note(reply)
            elif "error" in reply:
                raise RuntimeError(reply["error"]["desc"])
            else:
                return reply["return"]

    def note(self, event):
        self.events.add((event["event"], event.get("data", {}).get("status")))

    def wait(self, *event):
        while event not in self.events:
            self.note(self.line())
        self.events.clear()

    def close(self):
        self.stream.close()
        self.socket.close()


def qemu_by_hand(name, *more, memory=16, incoming=False):
    """The command line of world.bare_xml(), started, greeted and, unless it waits for a state, set going: the process and its monitor."""
    path = f"/run/tmp/{name}.qmp"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        process = subprocess.Popen(
            [EMULATOR, "-name", f"guest={name}", "-S", "-machine", "pc-i440fx-7.2,usb=off,dump-guest-core=off",
             "-accel", "tcg", "-m", str(memory), "-overcommit", "mem-lock=off", "-smp", "1,sockets=1,cores=1,threads=1", "-display", "none",
             "-no-user-config", "-nodefaults", "-chardev", f"socket,id=charmonitor,fd={listener.fileno()},server=on,wait=off",
             "-mon", "chardev=charmonitor,id=monitor,mode=control", "-rtc", "base=utc", "-no-shutdown", "-boot", "strict=on",
             "-device", "piix3-usb-uhci,id=usb,bus=pci.0,addr=0x1.0x2", "-msg", "timestamp=on", *(["-incoming", "defer"] if incoming else []), *more],
            pass_fds=[listener.fileno()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        monitor = Monitor(path)
        monitor.ask("query-cpus-fast")
        if not incoming:
            monitor.ask("cont")
    except (ConnectionError, EOFError):  # it refuses and says why on its standard error
        process.wait()
        return None, None
    return process, monitor


def end(process):
    process.kill()
    process.wait()


def bare():
    with step("start, destroy"):
        starts, kills = [], []
        for i in range(10):
            begin = time.perf_counter()
            process, monitor = qemu_by_hand(f"by-hand{i}")
            starts.append((time.perf_counter() - begin) * 1000)
            kills.append(timed(lambda p=process: end(p)))
            monitor.close()
        result["start"], result["destroy"] = statistics.median(starts), statistics.median(kills)
    with step("refused start"):
        result["refused"] = median(lambda: qemu_by_hand("bad", "-device", "no-such-device"), 10)
    with step("20 starts"):
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            begin = time.perf_counter()
            processes = list(pool.map(lambda i: qemu_by_hand(f"crowd{i}"), range(20)))
            result["starts20"] = (time.perf_counter() - begin) * 1000
        for process, monitor in processes:
            monitor.close()
            end(process)
    with step("calls"):
        echo = subprocess.Popen([LOAD, "echo", "/run/tmp/echo"])
        time.sleep(0.2)
        before = cpu(echo.pid)
        result["raw1"] = load("raw", "/run/tmp/echo", 1, 3)
        result["cpu"] = (cpu(echo.pid) - before) / (result["raw1"] * 3) * 1000
        result["raw64"] = load("raw", "/run/tmp/echo", 64, 3)
        end(echo)
    with step("define"):
        text = yardstick.document().encode()

        def write():
            with open("/etc/libvirt/new", "wb") as f:
                f.write(text)
                f.flush()
                os.fsync(f.fileno())
            os.rename("/etc/libvirt/new", "/etc/libvirt/old")

        begin, count = time.perf_counter(), 0
        while time.perf_counter() - begin < 3:
            write()
            count += 1
        result["define"] = count / (time.perf_counter() - begin)
    with step("probe"):
        result["capabilities"] = median(probe, 5)
    with step("network"):
        result["net_start"] = median(network_by_hand, 10, network_undo)
    with step("save, restore"):
        save_and_restore()
    with step("console"):
        result["console"] = console()


def save_by_hand(process, monitor, path):
    """Returns when QEMU has gone and the state is on the disk."""
    monitor.ask("stop")
    monitor.ask("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
    monitor.ask("migrate-set-parameters", **{"max-bandwidth": 1 << 62})
    with open(path, "wb") as file:
        monitor.ask("getfd", fd=file.fileno(), fdname="state")
        monitor.ask("migrate", uri="fd:state")
        monitor.wait("MIGRATION", "completed")
        os.fdatasync(file.fileno())
    monitor.ask("quit")
    process.wait()
    monitor.close()


def restore_by_hand(path):
    process, monitor = qemu_by_hand("restored", *yardstick.filling(), memory=256, incoming=True)
    monitor.ask("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
    with open(path, "rb") as file:
        monitor.ask("getfd", fd=file.fileno(), fdname="state")
        monitor.ask("migrate-incoming", uri="fd:state")
        monitor.wait("MIGRATION", "completed")
    monitor.ask("cont")
    return process, monitor


def save_and_restore():
    saves, restores = [], []
    process, monitor = qemu_by_hand("saved", *yardstick.filling(), memory=256)
    time.sleep(yardstick.SETTLED)
    for _ in range(5):
        begin = time.perf_counter()
        save_by_hand(process, monitor, "/run/tmp/state")
        saves.append((time.perf_counter() - begin) * 1000)
        begin = time.perf_counter()
        process, monitor = restore_by_hand("/run/tmp/state")
        restores.append((time.perf_counter() - begin) * 1000)
    monitor.close()
    end(process)
    result["save"], result["restore"] = statistics.median(saves), statistics.median(restores)


def console():
    world.guest_files()
    process, monitor = qemu_by_hand(
        "talking", "-kernel", world.KERNEL, "-initrd", world.INITRD, "-append", "console=ttyS0 quiet no_timer_check",
        "-chardev", "pty,id=serial", "-serial", "chardev:serial", "-device", "virtio-serial-pci", "-chardev", "pty,id=fast",
        "-device", "virtconsole,chardev=fast", memory=192,
    )  # fmt: skip
    paths = {one["label"]: one["filename"].removeprefix("pty:") for one in monitor.ask("query-chardev")}
    files = {}
    for label in ("serial", "fast"):
        files[label] = os.open(paths[label], os.O_RDWR | os.O_NOCTTY)
        tty.setraw(files[label], termios.TCSANOW)
    said = b""
    while b"guest# " not in said:
        said += os.read(files["serial"], 4096)
    os.write(files["serial"], yardstick.TALK.encode() + b"\n")
    rate = yardstick.throughput(lambda: os.read(files["fast"], 65536))
    monitor.close()
    end(process)
    return rate


def probe():
    process = subprocess.Popen(
        [EMULATOR, "-S", "-no-user-config", "-nodefaults", "-nographic", "-machine", "none,accel=tcg", "-qmp", "stdio"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    commands = ["qmp_capabilities", "query-version", "query-machines", "qom-list-types", "query-cpu-definitions", "query-qmp-schema", "quit"]
    process.communicate("".join(json.dumps({"execute": c}) + "\n" for c in commands))


def network_by_hand():
    subprocess.run(["ip", "-batch", "-"], input="link add hand0 type bridge\naddr add 192.168.200.1/24 dev hand0\nlink set hand0 up\n", text=True, check=True)
    rules = "table inet hand {\n chain post {\n type nat hook postrouting priority 100;\n ip saddr 192.168.200.0/24 masquerade\n }\n}\n"
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    subprocess.run(
        ["dnsmasq", "--conf-file=/dev/null", "--pid-file=/run/tmp/hand.pid", "--bind-dynamic", "--interface=hand0", "--except-interface=lo",
         "--dhcp-leasefile=/run/tmp/hand.leases", "--dhcp-range=192.168.200.2,192.168.200.254"], check=True,
    )  # fmt: skip


def network_undo():
    with open("/run/tmp/hand.pid") as f:
        os.kill(int(f.read()), signal.SIGTERM)
    time.sleep(0.05)
    subprocess.run(["ip", "link", "del", "hand0"], check=True)
    subprocess.run(["nft", "delete", "table", "inet", "hand"], check=True)


