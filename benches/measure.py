"""What the record scripts share: where and on what is measured, one process measured, and a table of them."""

import datetime
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("LAZYOCI_CACHE", "/var/cache/lazyoci"))
GNU_TIME = "/usr/bin/time"


def run(*command, **options):
    """What a command printed; it must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stderr}")
    return done.stdout.rstrip()


def commit(record):
    """The commit that is measured. Changes beside it, other than in record/, are marked; no record is made of them."""
    changed = run("git", "-C", ROOT, "status", "--porcelain", "--", ".", ":!benches/record")
    if changed and record:
        sys.exit(f"no record of a tree that is not committed:\n{changed}")
    return run("git", "-C", ROOT, "describe", "--always") + (" with changes that are NOT committed" if changed else "")


def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    # What follows the numbers names whoever built the kernel.
    kernel = re.match(r"[0-9.]*[0-9]", platform.release()).group()
    return f"{os.cpu_count()} cores, {cpu}, Linux {kernel}"


def header(title, record, *lines):
    """The head of a record, as lines."""
    facts = [f"date: {datetime.date.today()}, commit {commit(record)}", f"machine: {machine()}", *lines]
    return [f"# {title}", "", *(f"- {fact}" for fact in facts)]


def publish(lines, record):
    text = "\n".join(lines) + "\n"
    print(text)
    if record:
        record.write_text(text)


def example(name):
    """An example, built from this tree or in LAZYOCI_EXAMPLES; and which of them, in words."""
    if given := os.environ.get("LAZYOCI_EXAMPLES"):
        return needed(pathlib.Path(given) / name), "a binary that was given: whether it is of this commit is NOT known"
    subprocess.run(["cargo", "build", "--release", "--example", name], cwd=ROOT, stdout=sys.stderr, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return needed(target / "release/examples" / name), "built from this tree by " + run("rustc", "--version")


def corpus(name):
    return needed(CACHE / "corpus" / name)


def needed(path):
    path = pathlib.Path(path)
    if not path.exists():
        sys.exit(f"missing: {path}")
    return path


class Run:
    """One finished process: wall and CPU seconds, peak memory in MiB; `bytes` is for the caller."""

    def __init__(self, *command, **options):
        with tempfile.NamedTemporaryFile("r") as peak:
            # A child of Python's begins with the peak of Python, a child of `time` with next to nothing.
            command = [needed(GNU_TIME), "--format", "%M", "--output", peak.name, *command]
            start = time.monotonic()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
            said = process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            self.wall = time.monotonic() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            if status != 0:
                sys.exit(f"{' '.join(map(str, command))}: status {process.returncode}\n{said.decode(errors='replace')}")
            self.peak = int(peak.read()) / 1024
        self.cpu = usage.ru_utime + usage.ru_stime
        self.bytes = None


def fresh(measure, source, *arguments):
    """Measures with a new directory, which is removed afterwards."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=CACHE))
    try:
        return measure(source, directory, *arguments)
    finally:
        shutil.rmtree(directory)


def table(bytes_of):
    return [f"| tool | wall s, median (min–max) | CPU s | peak MiB | {bytes_of} |", "|---|---|---|---|---|"]


def row(name, runs):
    def figures(key):
        values = [getattr(run, key) for run in runs]
        return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"
    return f"| {name} | {figures('wall')} | {figures('cpu')} | {figures('peak')} | {runs[0].bytes} |"


def ratios(pairs):
    """What share of the other's figures ours are, the two of each pair having run in turn."""
    def ratio(key):
        return statistics.median(getattr(a, key) / getattr(b, key) for a, b in pairs)
    size = pairs[0][0].bytes / pairs[0][1].bytes
    return f"**{ratio('wall'):.3f}** of its wall time, {ratio('cpu'):.3f} of its CPU time (medians of {len(pairs)} pairs), {size:.4f} of its size"
