"""One column of tests/bench: measures lodged, libvirtd or the bare limit inside a world and prints a JSON object.

The bare limit does by hand what a daemon cannot do without: starts the same QEMU with a QMP handshake, kills it, echoes frames,
writes files durably, makes a bridge. It says what the machine costs, so that the ratios say what the daemon costs.
"""

import concurrent.futures
import contextlib
import glob
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, ROOT + "/tests/compat")
import libvirt  # noqa: E402
import world  # noqa: E402

LOAD = f"{ROOT}/build/{world.preset()}/bench_load"
PEER = os.environ["LODGE_PEER"]
DOCUMENT = f"{ROOT}/build/{world.preset()}/bench_document"
BAD_DEVICE = (
    "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
    "<qemu:arg value='-device'/><qemu:arg value='no-such-device'/></qemu:commandline>"
)
DEFINITIONS = 5000
result = {}


def log(*words):
    print(f"[{PEER}]", *words, file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(name):
    """A yardstick that cannot be measured leaves a hole in the table and says why."""
    try:
        yield
    except Exception as error:  # whatever a half-built peer comes up with
        log(f"{name}: not measured: {error}")
    else:
        log(name)


def timed(action):
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


def median(action, times, undo=lambda: None):
    values = []
    for _ in range(times):
        values.append(timed(action))
        undo()
    return statistics.median(values)


def load(*arguments):
    done = subprocess.run([LOAD, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return float(done.stdout)


def document():
    """About 120 lines, as virt-manager leaves them."""
    disks = "".join(
        f"<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none' io='native' discard='unmap'/>\n"
        f"<source file='/var/lib/libvirt/images/{i}.qcow2'/>\n<target dev='vd{chr(97 + i)}' bus='virtio'/>\n</disk>\n"
        for i in range(8)
    )
    nics = "".join(
        f"<interface type='network'>\n<mac address='52:54:00:00:00:{i:02x}'/>\n<source network='default'/>\n<model type='virtio'/>\n</interface>\n"
        for i in range(4)
    )
    lines = f"""<domain type='qemu'>
<name>@NAME@</name>
<uuid>@UUID@</uuid>
<metadata>
<app:x xmlns:app='urn:bench'><app:y>text</app:y></app:x>
</metadata>
<memory unit='KiB'>2097152</memory>
<vcpu placement='static'>4</vcpu>
<os>
<type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
<boot dev='hd'/>
</os>
<features>
<acpi/>
<apic/>
</features>
<cpu mode='custom' match='exact'>
<model fallback='allow'>qemu64</model>
</cpu>
<clock offset='utc'>
<timer name='rtc' tickpolicy='catchup'/>
<timer name='pit' tickpolicy='delay'/>
<timer name='hpet' present='no'/>
</clock>
<on_poweroff>destroy</on_poweroff>
<on_reboot>restart</on_reboot>
<on_crash>destroy</on_crash>
<devices>
<emulator>/usr/bin/qemu-system-x86_64</emulator>
{disks}{nics}<serial type='pty'>
<target port='0'/>
</serial>
<console type='pty'/>
<channel type='unix'>
<target type='virtio' name='org.qemu.guest_agent.0'/>
</channel>
<input type='tablet' bus='usb'/>
<graphics type='vnc' port='-1' autoport='yes'/>
<video>
<model type='virtio'/>
</video>
<rng model='virtio'>
<backend model='random'>/dev/urandom</backend>
</rng>
</devices>
</domain>
"""
    return lines


def document_file():
    path = "/run/tmp/one.xml"
    with open(path, "w") as f:
        f.write(document().replace("@NAME@", "one").replace("@UUID@", "be9c0000-0000-4000-8000-00000000ffff"))
    return path


def qemu_by_hand(name, *more):
    """The command line of world.bare_xml(), started, greeted and set going. Returns the process."""
    path = f"/run/tmp/{name}.qmp"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        process = subprocess.Popen(
            ["/usr/bin/qemu-system-x86_64", "-name", f"guest={name}", "-S", "-machine", "pc-i440fx-7.2,usb=off,dump-guest-core=off",
             "-accel", "tcg", "-m", "16", "-overcommit", "mem-lock=off", "-smp", "1,sockets=1,cores=1,threads=1", "-display", "none",
             "-no-user-config", "-nodefaults", "-chardev", f"socket,id=charmonitor,fd={listener.fileno()},server=on,wait=off",
             "-mon", "chardev=charmonitor,id=monitor,mode=control", "-rtc", "base=utc", "-no-shutdown", "-boot", "strict=on",
             "-device", "piix3-usb-uhci,id=usb,bus=pci.0,addr=0x1.0x2", "-msg", "timestamp=on", *more],
            pass_fds=[listener.fileno()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        handshake(path)
    except (ConnectionError, EOFError):  # it refuses and says why on its standard error
        process.wait()
        return None
    return process


def handshake(path):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(path)
        stream = peer.makefile("rw")
        if not stream.readline():
            raise EOFError
        for command in ("qmp_capabilities", "query-cpus-fast", "cont"):
            stream.write(json.dumps({"execute": command}) + "\n")
        stream.flush()
        answers = 0
        while answers < 3:
            line = stream.readline()
            if not line:
                raise EOFError
            answers += '"return"' in line


def end(process):
    process.kill()
    process.wait()


def bare():
    with step("start, destroy"):
        starts, kills = [], []
        for i in range(10):
            begin = time.perf_counter()
            process = qemu_by_hand(f"by-hand{i}")
            starts.append((time.perf_counter() - begin) * 1000)
            kills.append(timed(lambda p=process: end(p)))
        result["start"], result["destroy"] = statistics.median(starts), statistics.median(kills)
    with step("refused start"):
        result["refused"] = median(lambda: qemu_by_hand("bad", "-device", "no-such-device"), 10)
    with step("20 starts"):
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            begin = time.perf_counter()
            processes = list(pool.map(lambda i: qemu_by_hand(f"crowd{i}"), range(20)))
            result["starts20"] = (time.perf_counter() - begin) * 1000
        for process in processes:
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
        text = document().encode()

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


def probe():
    process = subprocess.Popen(
        ["/usr/bin/qemu-system-x86_64", "-S", "-no-user-config", "-nodefaults", "-nographic", "-machine", "none,accel=tcg", "-qmp", "stdio"],
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


def memory():
    with open(f"/proc/{world.daemon.process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024


def cpu(pid=None):
    """Milliseconds of processor time that a process, else the daemon, has had."""
    with open(f"/proc/{pid or world.daemon.process.pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def launch():
    """Starts the daemon; returns milliseconds until a client has the list of domains."""
    if not world.IS_LODGE and world.daemon.logd is None:
        world.daemon.logd = subprocess.Popen(["virtlogd"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.3)
    begin = time.perf_counter()
    with open("/run/tmp/daemon.log", "ab") as out:
        world.daemon.process = subprocess.Popen([PEER], stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    while True:
        with socket.socket(socket.AF_UNIX) as peer:
            if peer.connect_ex(world.SOCKET) == 0:
                break
        if world.daemon.process.poll() is not None:
            raise RuntimeError("the daemon ended at once")
        time.sleep(0.0005)
    conn = libvirt.open(world.URI)
    conn.listAllDomains()
    took = (time.perf_counter() - begin) * 1000
    conn.close()
    return took


def guests(conn):
    with step("start, destroy"):
        dom = conn.defineXML(world.bare_xml("single"))
        dom.create()
        dom.destroy()
        starts, kills = [], []
        for _ in range(10):
            starts.append(timed(dom.create))
            kills.append(timed(dom.destroy))
        result["start"], result["destroy"] = statistics.median(starts), statistics.median(kills)
        dom.undefine()
    with step("refused start"):
        dom = conn.defineXML(world.bare_xml("refused").replace("</domain>", BAD_DEVICE + "</domain>"))

        def refused():
            with contextlib.suppress(libvirt.libvirtError):
                dom.create()

        result["refused"] = median(refused, 10)
        dom.undefine()
    with step("20 starts"):
        conns = [libvirt.open(world.URI) for _ in range(20)]
        doms = [c.defineXML(world.bare_xml(f"crowd{i}")) for i, c in enumerate(conns)]
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            result["starts20"] = timed(lambda: list(pool.map(lambda d: d.create(), doms)))
        for dom in doms:
            dom.destroy()
            dom.undefine()
        for c in conns:
            c.close()


def calls():
    with step("calls by libvirt's client"):
        before = cpu()
        rate = load("libvirt", world.URI, 3)
        result["libvirt1"], result["cpu"] = rate, (cpu() - before) / (rate * 3) * 1000
    with step("calls, 1 connection"):
        result["raw1"] = load("raw", world.SOCKET, 1, 3)
    with step("calls, 64 connections"):
        result["raw64"] = load("raw", world.SOCKET, 64, 3)
    with step("define"):
        with open("/run/tmp/document.xml", "w") as f:
            f.write(document())
        result["define"] = load("define", world.URI, 3, "/run/tmp/document.xml")
    with step("50 subscribers"):
        result["heard"] = load("subscribers", world.SOCKET, 50, "/run/tmp/document.xml")


def figures():
    """The daemon's resident KiB and open descriptors."""
    return memory() * 1024, len(os.listdir(f"/proc/{world.daemon.process.pid}/fd"))


def cycles(conn):
    """Start and destroy, over and over: what stays behind of it."""
    dom = conn.defineXML(world.bare_xml("cycled"))
    count = 1000 if "--long" in sys.argv else 100

    def run(times):
        for _ in range(times):
            dom.create()
            dom.destroy()

    run(30)
    before = figures()
    run(count)
    after = figures()
    dom.undefine()
    result["cycles_memory"] = (after[0] - before[0]) / count
    result["cycles_files"] = after[1] - before[1]


def restart_with_guests(conn):
    doms = [conn.defineXML(world.bare_xml(f"left{i}")) for i in range(20)]
    for dom in doms:
        dom.create()
    conn.close()
    time.sleep(5)  # until their firmware no longer keeps all processors
    world.daemon.stop(signal.SIGKILL)
    result["restart20"] = launch()
    conn = libvirt.open(world.URI)
    found = conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
    if len(found) != 20:
        raise RuntimeError(f"{len(found)} of 20 guests found again")
    for dom in found:
        dom.destroy()
        dom.undefine()
    return conn


def many_definitions():
    conn = libvirt.open(world.URI)
    uuid = "<uuid>be9c0000-0000-4000-8000-ffffffffffff</uuid>"
    xml = conn.defineXML(world.guest_xml("sample", extra=uuid, disks=[("/var/lib/libvirt/images/a.qcow2", "qcow2")])).XMLDesc()
    for dom in conn.listAllDomains():
        dom.undefine()
    conn.close()
    world.daemon.stop()
    for i in range(DEFINITIONS):
        with open(f"/etc/libvirt/qemu/d{i}.xml", "w") as f:
            f.write(xml.replace("<name>sample<", f"<name>d{i}<").replace("ffffffffffff", f"{i:012}"))
    result["moved_in"] = launch()
    conn = libvirt.open(world.URI)
    for dom in conn.listAllDomains():
        conn.defineXML(dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    world.daemon.stop()
    result["many"] = launch()
    result["memory1000"] = (memory() - result["memory"]) * 1000 / DEFINITIONS
    result["stats"] = load("stats", world.URI, 9)
    world.daemon.stop()
    for path in glob.glob("/etc/libvirt/qemu/d*.xml"):
        os.unlink(path)


def peer():
    os.makedirs(world.BOOT, exist_ok=True)
    launch()
    world.daemon.stop()
    with step("cold start"):
        values = []
        for _ in range(5):
            values.append(launch())
            world.daemon.stop()
        result["cold"] = statistics.median(values)
    with step("capabilities, cold cache"):
        values = []
        for _ in range(3):
            shutil.rmtree("/var/cache/libvirt", ignore_errors=True)
            os.makedirs("/var/cache/libvirt/qemu")
            launch()
            conn = libvirt.open(world.URI)
            values.append(timed(conn.getCapabilities))
            conn.close()
            world.daemon.stop()
        result["capabilities"] = statistics.median(values)
    launch()
    time.sleep(1)
    result["memory"] = memory()
    with step("commands"):
        command = ["lodge", "-c", world.URI, "version"] if world.IS_LODGE else ["virsh", "-c", world.URI, "version"]
        result["version"] = median(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), 20)
    conn = libvirt.open(world.URI)
    guests(conn)
    with step("network"):
        net = conn.networkLookupByName("default")
        if net.isActive():
            net.destroy()
        result["net_start"] = median(net.create, 10, net.destroy)
    with step("cycles"):
        cycles(conn)
    with step("restart with 20 guests"):
        conn = restart_with_guests(conn)
    with contextlib.suppress(libvirt.libvirtError):  # closed already where the step failed
        conn.close()
    calls()
    if world.IS_LODGE:
        with step("document"):
            done = subprocess.run([DOCUMENT, document_file(), "2"], capture_output=True, text=True, check=True)
            result["document"] = sum(map(float, done.stdout.split()))
            log("ms to parse, complete, format:", done.stdout.strip())
    with step("many definitions"):
        many_definitions()
    with contextlib.suppress(Exception):
        world.daemon.stop()


libvirt.registerErrorHandler(lambda *_: None, None)
bare() if PEER == "bare" else peer()
print(json.dumps(result))
