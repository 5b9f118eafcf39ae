#!/usr/bin/python3
"""Inside a world: takes each walk with the daemon there, and writes down what every step gave and which events came."""

import json
import os
import re
import sys
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "compat")]
import libvirt
import steps
import world

# What ends a domain with all that belongs to it.
EVERYTHING = (libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
              libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
LIMIT = 40  # seconds for one step


def shown(value):
    """Without what differs from run to run."""
    if isinstance(value, str) and value.startswith("<"):
        for pattern, name in ((r"/dev/pts/\d+", "PTY"), (r"domain-\d+-", "domain-N-"), (r"<domain type='(\w+)' id='\d+'", r"<domain type='\1' id='N'"),
                              (r"<creationTime>\d+", "<creationTime>N"), (r"port='59\d\d'", "port='59NN'"), (r"<cookie>.*?</cookie>", "<cookie/>"),
                              (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID")):
            value = re.sub(pattern, name, value, flags=re.S)
        return value.splitlines()
    return value


class Listener:
    KINDS = {name: getattr(libvirt, name) for name in dir(libvirt) if name.startswith("VIR_DOMAIN_EVENT_ID_")}

    def __init__(self, conn):
        self.heard = []
        for name, kind in self.KINDS.items():
            if name != "VIR_DOMAIN_EVENT_ID_LAST":
                conn.domainEventRegisterAny(None, kind, self.hear, name[len("VIR_DOMAIN_EVENT_ID_"):].lower())

    def hear(self, _conn, _dom, *rest):
        kind = rest[-1]
        if kind == "reboot":
            return  # firmware that finds nothing to boot resets the guest when it likes
        volatile = kind in ("rtc_change", "balloon_change", "job_completed", "graphics")
        self.heard.append([kind] if volatile else [kind, *(str(sorted(each.items()) if isinstance(each, dict) else each) for each in rest[:-1])])


def ask(conn, listener, name, args):
    try:
        domain = conn.lookupByUUIDString(steps.UUID)
    except libvirt.libvirtError:
        domain = None
    if domain is None:
        if name not in ("defineXML", "createXML", "restoreFlags", "saveImageGetXMLDesc"):
            return {"gone": True}
        domain = Nobody(conn)
    try:
        return {"value": shown(steps.STEPS[name][2](domain, *args))}
    except libvirt.libvirtError as error:
        return {"code": error.get_error_code(), "domain": error.get_error_domain(), "text": error.get_error_message()}
    except (LookupError, TypeError, ValueError) as error:  # the binding itself refused
        return {"value": type(error).__name__}


class Nobody:
    """Stands for a domain that is not there: leads to its connection only."""

    def __init__(self, conn):
        self.conn = conn

    def connect(self):
        return self.conn


def clean(conn):
    for domain in conn.listAllDomains():
        if domain.isActive():
            domain.destroy()
    for domain in conn.listAllDomains():
        domain.undefineFlags(EVERYTHING)


def take(conn, listener, walk):
    clean(conn)
    steps.prepare()
    conn.defineXML(steps.BASE)
    time.sleep(0.05)
    listener.heard.clear()
    answers = []
    for name, *args in walk:
        before = len(listener.heard)
        answer = ask(conn, listener, name, args)
        time.sleep(0.03)  # for events
        answer["events"] = listener.heard[before:]
        answers.append(answer)
        if world.daemon.process.poll() is not None or not conn.isAlive():
            answer["dead"] = True
            break
    return answers


def watch(since):
    while True:
        time.sleep(1)
        if since[0] and time.monotonic() - since[0] > LIMIT * 3:
            world.daemon.process.kill()


def main():
    libvirt.registerErrorHandler(lambda *_: None, None)
    libvirt.virEventRegisterDefaultImpl()

    def loop():
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=loop, daemon=True).start()
    os.environ.pop("TMPDIR", None)
    with open(sys.argv[1]) as f:
        walks = json.load(f)
    since = [None]
    threading.Thread(target=watch, args=(since,), daemon=True).start()
    conn = None
    with open(sys.argv[2], "w") as out:
        for key, walk in walks.items():
            if conn is None:
                world.daemon.start()
                conn = libvirt.open(world.URI)
                listener = Listener(conn)
            since[0] = time.monotonic()
            try:
                answers = take(conn, listener, walk)
            except libvirt.libvirtError as error:
                answers = [{"dead": True, "text": str(error)}]
            since[0] = None
            out.write(json.dumps([key, answers]) + "\n")
            out.flush()
            if answers[-1].get("dead"):
                world.daemon.process.kill()
                world.daemon.process.wait()
                world.daemon.process, conn = None, None
    os._exit(0)  # the world ends with us, and a daemon that hangs must not keep it


main()
