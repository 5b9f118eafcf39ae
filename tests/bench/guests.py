"""What guests cost through a daemon: started, ended, saved, restored, read."""

import concurrent.futures
import contextlib
import os
import statistics
import sys
import time

import libvirt
import world
import yardstick
from yardstick import median, memory, result, step, timed

BAD_DEVICE = yardstick.arguments("-device", "no-such-device")


def starts(conn):
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


def save_and_restore(conn):
    path = "/var/lib/libvirt/images/state"
    xml = world.bare_xml("saved", memory=256).replace("</domain>", yardstick.arguments(*yardstick.filling()) + "</domain>")
    conn.createXML(xml)
    time.sleep(yardstick.SETTLED)
    saves, restores = [], []
    for _ in range(5):
        saves.append(timed(lambda: conn.lookupByName("saved").save(path)))
        restores.append(timed(lambda: conn.restore(path)))
    conn.lookupByName("saved").destroy()
    result["save"], result["restore"] = statistics.median(saves), statistics.median(restores)


def console(conn):
    world.guest_files()
    dom = conn.createXML(world.guest_xml("talking", nics=0, devices="<console type='pty'><target type='virtio'/></console>"))
    serial = world.Console("talking")
    serial.expect("guest# ")
    stream = conn.newStream()
    dom.openConsole("console1", stream)
    serial.send(yardstick.TALK + "\n")
    result["console"] = yardstick.throughput(lambda: stream.recv(65536))
    stream.abort()
    serial.close()
    dom.destroy()


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
