"""What every column of the bench measures with."""

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, ROOT + "/tests/compat")
import world  # noqa: E402

LOAD = f"{ROOT}/build/{world.preset()}/bench_load"
PEER = os.environ["LODGE_PEER"]
DOMAIN_QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
# A guest that is to be saved has this much in its memory, which does not compress and is loaded at each of its resets.
FILLING, FILLING_BYTES = "/run/tmp/filling", 200 << 20
SETTLED = 3  # seconds until firmware that finds nothing to boot idles
# What a guest is told so that it talks on its second console, and how much that is.
TALK_BYTES = 16 << 20
TALK = f"stty raw -F /dev/hvc0; head -c {TALK_BYTES} /dev/zero > /dev/hvc0"
result = {}


def log(*words):
    print(f"[{PEER}]", *words, file=sys.stderr, flush=True)


def give_up(*_):
    raise TimeoutError("it takes too long")


signal.signal(signal.SIGALRM, give_up)


@contextlib.contextmanager
def step(name, seconds=120):
    """A yardstick that cannot be measured, or not within so many seconds, leaves a hole in the table and says why."""
    signal.alarm(seconds)
    try:
        yield
    except Exception as error:  # whatever a half-built peer comes up with
        log(f"{name}: not measured: {error or type(error).__name__}")
    else:
        log(name)
    finally:
        signal.alarm(0)


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


def cpu(pid=None):
    """Milliseconds of processor time that a process, else the daemon, has had."""
    with open(f"/proc/{pid or world.daemon.process.pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def memory():
    """The daemon's resident MiB."""
    with open(f"/proc/{world.daemon.process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024


def arguments(*words):
    """A domain document's element that puts words on QEMU's command line."""
    return f"<qemu:commandline xmlns:qemu='{DOMAIN_QEMU}'>" + "".join(f"<qemu:arg value='{word}'/>" for word in words) + "</qemu:commandline>"


def filling():
    """What fills a guest's memory, for QEMU's command line."""
    if not os.path.exists(FILLING):
        with open(FILLING, "wb") as file:
            file.write(os.urandom(FILLING_BYTES))
    return "-device", f"loader,file={FILLING},addr=0x1000000,force-raw=on"


def throughput(read):
    """MB a second, of which the first to arrive starts the clock."""
    count = len(read())
    begin = time.perf_counter()
    while count < TALK_BYTES:
        count += len(read())
    return count / (time.perf_counter() - begin) / 1e6


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
