#!/usr/bin/python3
"""Inside a world: takes each walk with the daemon there, and writes down what every step gave and which events came."""

import json
import os
import re
import shutil
import sys
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "compat")]
import libvirt
import object_steps
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
    """Every event of every kind, as lists of words."""
    VOLATILE = ("rtc_change", "balloon_change", "job_completed", "graphics")

    def __init__(self, conn):
        self.heard = []
        for register, prefix in ((conn.domainEventRegisterAny, "VIR_DOMAIN_EVENT_ID_"), (conn.networkEventRegisterAny, "VIR_NETWORK_EVENT_ID_"),
                                 (conn.storagePoolEventRegisterAny, "VIR_STORAGE_POOL_EVENT_ID_"), (conn.secretEventRegisterAny, "VIR_SECRET_EVENT_ID_")):
            for name in (n for n in dir(libvirt) if n.startswith(prefix) and n != prefix + "LAST"):
                register(None, getattr(libvirt, name), self.hear, name[len("VIR_"):].replace("DOMAIN_EVENT_ID_", "").lower())

    def hear(self, _conn, on, *rest):
        kind = rest[-1]
        if kind == "reboot":
            return  # firmware that finds nothing to boot resets the guest when it likes
        who = [] if isinstance(on, libvirt.virDomain) else [on.UUIDString() if isinstance(on, libvirt.virSecret) else on.name()]
        words = [] if kind in self.VOLATILE else [str(sorted(each.items()) if isinstance(each, dict) else each) for each in rest[:-1]]
        self.heard.append([kind, *who, *words])


def answer_of(ask, on, args):
    try:
        return {"value": shown(ask(on, *args))}
    except libvirt.libvirtError as error:
        return {"code": error.get_error_code(), "domain": error.get_error_domain(), "text": error.get_error_message()}
    except (LookupError, TypeError, ValueError) as error:  # the binding itself refused
        return {"value": type(error).__name__}


class Domains:
    """Walks with one guest."""

    @staticmethod
    def prepare(conn):
        clean(conn)
        steps.prepare()
        conn.defineXML(steps.BASE)

    @staticmethod
    def ask(conn, name, args):
        try:
            domain = conn.lookupByUUIDString(steps.UUID)
        except libvirt.libvirtError:
            if name not in ("defineXML", "createXML", "restoreFlags", "restoreParams", "saveImageGetXMLDesc", "saveImageDefineXML"):
                return {"gone": True}
            domain = Nobody(conn)
        return answer_of(steps.DOMAIN.steps[name][2], domain, args)


class Objects:
    """Walks with a host's other objects."""

    @staticmethod
    def prepare(conn):
        object_steps.clean(conn)
        shutil.rmtree(object_steps.POOLS, ignore_errors=True)
        os.makedirs(object_steps.POOLS)

    @staticmethod
    def ask(conn, name, args):
        return answer_of(object_steps.OBJECTS.steps[name][2], conn, args)


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


def take(kind, conn, listener, walk):
    kind.prepare(conn)
    time.sleep(0.05)
    listener.heard.clear()
    answers = []
    for name, *args in walk:
        before = len(listener.heard)
        answer = kind.ask(conn, name, args)
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
    kind = {"domain": Domains, "objects": Objects}[sys.argv[3]]
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
                answers = take(kind, conn, listener, walk)
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
