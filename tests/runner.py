"""The part of tests/run that runs what is built and counts. Not meant to be called by hand.

A plan is PRESET:PART,PART...; no parts means all. A part is unit, compat or fuzz, or the name of one of their pieces.
"""

import argparse
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
# Inputs that a fuzzer tries: what takes it about 20 seconds.
FUZZ_RUNS = {"frame": 300_000}
# Where a fuzzer finds more documents to begin with, when LODGE_CORPUS names the corpus.
CORPUS_SEEDS = {
    "domain": ["genericxml2xmlindata", "qemuxml2argvdata"],
    "guest": ["genericxml2xmlindata", "qemuxml2argvdata"],
    "network": ["networkxml2xmlin"],
    "objects": [
        "nwfilterxml2xmlin",
        "secretxml2xmlin",
        "interfaceschemadata",
        "qemudomainsnapshotxml2xmlin",
        "qemudomaincheckpointxml2xmlin",
        "domainbackupxml2xmlin",
        "capabilities",
    ],
    "storage": ["storagepoolxml2xmlin", "storagevolxml2xmlin"],
}
SLOW = {"lifecycle", "restart", "backup", "virt_install"}


class Job:
    """One child to run: its kind, name and command; afterwards its counts."""

    def __init__(self, preset, kind, name, command, env=None, seconds=900):
        self.preset, self.kind, self.name, self.command, self.seconds = preset, kind, name, command, seconds
        self.env = dict(os.environ, **(env or {}))
        self.passed = self.failed = self.skipped = 0
        self.took = 0.0
        self.log = f"{ROOT}/build/{preset}/logs/{kind}-{name}.log"

    def run(self):
        os.makedirs(os.path.dirname(self.log), exist_ok=True)
        start = time.monotonic()
        with open(self.log, "wb") as log:
            process = subprocess.Popen(
                self.command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=ROOT, env=self.env, start_new_session=True
            )
            try:
                status = process.wait(self.seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
                log.write(f"\nstopped after {self.seconds} s\n".encode())
                status = -1
        self.took = time.monotonic() - start
        with open(self.log, errors="replace") as log:
            self.count(status, log.read())
        return self

    def count(self, status, text):
        getattr(self, f"count_{self.kind}")(text)
        if status and not self.failed:
            self.failed = 1

    def count_unit(self, text):  # Catch2's last lines
        summary = re.compile(r"All tests passed \(\d+ assertions? in (\d+) test cases?\)|test cases: +(\d+) \|(?: +(\d+) passed)?")
        found = list(summary.finditer(text))
        if found:  # a test may run Catch2 again in a namespace; the last one is the whole
            whole, cases, passed = found[-1].groups()
            self.passed = int(whole or passed or 0)
            self.failed = int(cases) - self.passed if cases else 0
        elif "No tests ran" not in text:
            self.failed = 1
        self.skipped = len(re.findall(r"(?m)^skipped:", text))

    def count_compat(self, text):  # unittest's last lines
        ran = re.search(r"(?m)^Ran (\d+) tests? in", text)
        if not ran:
            self.failed = 1
            return
        numbers = {kind: int(n) for kind, n in re.findall(r"(failures|errors|skipped)=(\d+)", text[ran.end() :])}
        self.failed = numbers.get("failures", 0) + numbers.get("errors", 0)
        self.skipped = numbers.get("skipped", 0)
        self.passed = int(ran.group(1)) - self.failed - self.skipped

    def count_fuzz(self, text):
        if re.search(r"(?m)^Done \d+ runs", text):
            self.passed = 1
        else:
            self.failed = 1


def unit_jobs(preset):
    for path in sorted(glob.glob(f"{ROOT}/build/{preset}/*_tests")):
        yield Job(preset, "unit", os.path.basename(path)[: -len("_tests")], [path], seconds=600)


def compat_jobs(preset):
    stage = f"{ROOT}/build/{preset}/stage"
    for path in sorted(glob.glob(f"{ROOT}/tests/compat/*_test.py")):
        name = os.path.basename(path)[: -len("_test.py")]
        command = [f"{ROOT}/tests/world", "--stage", stage, "--", "/usr/bin/python3", path]
        yield Job(preset, "compat", name, command, {"LODGE_PRESET": preset, "LODGE_STAGED": "1"})


def fuzz_jobs(preset, quick):
    for path in sorted(glob.glob(f"{ROOT}/build/{preset}/fuzz_*")):
        if not os.access(path, os.X_OK) or os.path.isdir(path):
            continue
        name = os.path.basename(path)[len("fuzz_") :]
        found = f"{ROOT}/build/{preset}/fuzz-corpus/{name}"
        os.makedirs(found, exist_ok=True)
        # The same inputs each time, on fast and on slow machines: what a longer search finds becomes a seed, and a check that
        # passed passes again.
        runs = FUZZ_RUNS.get(name, 15_000) // (5 if quick else 1)
        command = [path, "-seed=1", f"-runs={runs}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]
        command += [f"-artifact_prefix={ROOT}/build/{preset}/logs/fuzz-{name}-", found, f"{ROOT}/tests/fuzz/seeds/{name}"]
        corpus = os.environ.get("LODGE_CORPUS")
        folders = [f"{corpus}/{folder}" for folder in CORPUS_SEEDS.get(name, [])] if corpus else []
        command += [folder for folder in folders if os.path.isdir(folder)]
        yield Job(preset, "fuzz", name, command)


def chosen(job, wanted, quick):
    names = {job.kind, job.name}
    if wanted:
        return bool(names & wanted)
    return not (quick and job.name in SLOW)


def excerpt(lines, most=50):
    """What a failure's reader wants first: the first complaints of unittest, Catch2 or a sanitizer; else the log's end."""
    complaint = re.compile(r"^(FAIL|ERROR): |FAILED:|ERROR: (Address|Leak)Sanitizer|runtime error:|terminate called")
    shown, last = [], -1
    for i, line in enumerate(lines):
        if complaint.search(line) and i > last and len(shown) < most:
            last = min(i + 20, len(lines) - 1)
            shown += lines[i : last + 1]
    return shown[:most] or lines[-most:]


def report(job):
    state = "FAILED" if job.failed else "ok"
    print(f"{state:6} {job.kind:6} {job.name:18} {job.passed} passed, {job.failed} failed, {job.skipped} skipped  [{job.preset}, {job.took:.0f} s]", flush=True)
    if job.failed:
        with open(job.log, errors="replace") as log:
            lines = log.read().splitlines()
        print("\n".join("    " + line for line in excerpt(lines)))
        print(f"    the whole log: {os.path.relpath(job.log, ROOT)}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--plan", action="append", default=[])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()

    jobs = []
    for plan in options.plan:
        preset, _, parts = plan.partition(":")
        wanted = set(options.names) or set(filter(None, parts.split(",")))
        for job in [*unit_jobs(preset), *fuzz_jobs(preset, options.quick), *compat_jobs(preset)]:
            if chosen(job, wanted, options.quick):
                jobs.append(job)
    if not jobs:
        print(f"nothing is called {' '.join(options.names)}")
        return 2
    # The longest first, so that both hands are busy to the end.
    jobs.sort(key=lambda job: (job.kind == "compat", job.name in SLOW), reverse=True)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for done in concurrent.futures.as_completed([pool.submit(job.run) for job in jobs]):
            report(done.result())
    print()
    for job in jobs:
        if job.failed:
            print(f"failed: {job.kind} {job.name} [{job.preset}]")
    failed = sum(job.failed for job in jobs)
    print(f"{sum(job.passed for job in jobs)} passed, {failed} failed, {sum(job.skipped for job in jobs)} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
