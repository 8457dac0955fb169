"""Where a process spends its time, by perf: by what the code is for, by thread, and its hottest functions, as text."""

import collections
import re
import subprocess
import time
from pathlib import Path

from localrun.children import Failed

from .stage import Stage, cpu_s

SAMPLES_PER_S = 199
# Frames are found by the stack's bytes, of which so many are kept a sample: the release has no frame pointers.
STACK_BYTES = 8192
HOTTEST = 40
OTHER = "other"
# The first that a frame matches, from the innermost frame on, is what a sample was taken for. Memory, which is copied,
# compared and allocated for all of them, is in the table of functions.
STAGES = (
    ("sha-256 of what was read", r"sha2::|sha256"),
    ("reading and parsing events", r"serde_json|features::events|gateway::ingest::(types|framing|file)|from_utf8"),
    ("states: applying", r"features::windows::\S*apply|State::apply"),
    ("states: encoding and decoding", r"features::windows|features::state_header"),
    ("store: Redis client", r"\bredis::|deadpool|combine::|features::store::redis"),
    ("store: embedded", r"fjall|lsm_tree|features::store::embedded|lz4|byteview"),
    ("store: what both have", r"features::store|features::key|features::catalog"),
    ("grouping and held states", r"gateway::ingest::writer|quick_cache|hashbrown"),
    ("metrics and progress", r"metrics|gateway::ingest::(meters|observed|progress)"),
    ("Redis: scripts", r"^lua|^luaV_|^luaH_|^luaD_|^str_|evalGeneric|scriptCall|^call$"),
    ("Redis: commands", r"^process|^lookupKey|^dict|^sds|^set|^get|^addReply"),
    ("sockets", r"sys_(writev|sendto|sendmsg|recvfrom|recvmsg|read|readv|write)$|^tcp_"),
    ("waiting and waking", r"epoll|futex|schedule"),
    ("files", r"ext4|vfs_|xfs|overlay|sys_(fsync|fdatasync|pwrite64|openat|close)"),
    ("runtime, and what is inlined into its tasks", r"tokio|mio::"),
)


def profile(stage: Stage, pid: int, seconds: int, title: str, file: Path) -> None:
    """Sample a process for that long, and write what was found."""
    data = stage.folder / "perf.data"
    perf = [
        "perf",
        "record",
        "-q",
        "-F",
        SAMPLES_PER_S,
        "--call-graph",
        f"dwarf,{STACK_BYTES}",
        "-p",
        pid,
        "-o",
        data,
        "--",
        "sleep",
        seconds,
    ]
    before, started = cpu_s(pid), time.monotonic()
    stage.children.run("perf (it may want root)", perf, grace_s=seconds)
    share = (cpu_s(pid) - before) / (time.monotonic() - started)
    script = ["perf", "script", "--no-inline", "-F", "comm,ip,sym,dso", "-i", str(data)]
    told = subprocess.run(script, capture_output=True, text=True, check=False)
    if told.returncode != 0:
        raise Failed(f"perf script: {told.stderr.strip()}")
    by_stage: collections.Counter[str] = collections.Counter()
    by_thread: collections.Counter[str] = collections.Counter()
    by_function: collections.Counter[str] = collections.Counter()
    for sample in told.stdout.split("\n\n"):
        thread, *frames = [line.strip() for line in sample.strip().splitlines() if line.strip()] or [""]
        symbols = [frame.split(maxsplit=1)[-1].rpartition(" (")[0] for frame in frames]
        if symbols:
            by_stage[stage_of(symbols)] += 1
            by_thread[thread] += 1
            by_function[symbols[0]] += 1
    lines = [
        f"{title}: {by_stage.total()} samples at {SAMPLES_PER_S} Hz over {seconds} s, in which the process used "
        f"{share:.0%} of a core: near 100 % its own CPU is the bound, else it has waited for another.",
        "A sample counts for the innermost of its functions that the table knows.",
    ]
    for name, counted in (("by stage", by_stage), ("by thread", by_thread), ("by function", by_function)):
        lines += ["", name]
        lines += [f"{count / counted.total():7.1%}  {what}" for what, count in counted.most_common(HOTTEST)]
    file.write_text("\n".join(lines) + "\n")


def stage_of(symbols: list[str]) -> str:
    """What a sample was taken for; the innermost function comes first."""
    for symbol in symbols:
        for name, pattern in STAGES:
            if re.search(pattern, symbol):
                return name
    return OTHER
