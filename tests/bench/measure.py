"""One column of tests/bench: measures lodged, libvirtd or the bare limit inside a world and prints a JSON object."""

import contextlib
import glob
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import time

import yardstick  # first: it says where the rest is
import by_hand
import guests
import libvirt
import world
from yardstick import PEER, ROOT, cpu, load, log, median, memory, result, step, timed

DOCUMENT = f"{ROOT}/build/{world.preset()}/bench_document"
DEFINITIONS = 5000


def document_file():
    path = "/run/tmp/one.xml"
    with open(path, "w") as f:
        f.write(yardstick.document().replace("@NAME@", "one").replace("@UUID@", "be9c0000-0000-4000-8000-00000000ffff"))
    return path


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
            f.write(yardstick.document())
        result["define"] = load("define", world.URI, 3, "/run/tmp/document.xml")
    with step("50 subscribers"):
        result["heard"] = load("subscribers", world.SOCKET, 50, "/run/tmp/document.xml")


def restart_with_guests(conn):
    doms = [conn.defineXML(world.bare_xml(f"left{i}")) for i in range(20)]
    for dom in doms:
        dom.create()
    conn.close()
    time.sleep(5)  # until their firmware no longer keeps all processors
    result["stats20"] = load("stats", world.URI, 31)
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
    guests.starts(conn)
    with step("save, restore"):
        guests.save_and_restore(conn)
    with step("console"):
        guests.console(conn)
    with step("network"):
        net = conn.networkLookupByName("default")
        if net.isActive():
            net.destroy()
        result["net_start"] = median(net.create, 10, net.destroy)
    with step("cycles", 900):
        guests.cycles(conn)
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
by_hand.bare() if PEER == "bare" else peer()
print(json.dumps(result))
