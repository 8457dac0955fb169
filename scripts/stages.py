"""Where the CPU time of a decision goes, by stage. Called by `make profile`; needs Linux's perf, which may want root.

Starts Gavel, Triton and Redis as `make run` does, puts each load on them, samples the gateway with perf and writes
loadtest/report/profile.md. A sample counts for what it was taken in: a system call in the kernel, by the call; else the
function that ran, by the crate and room that it belongs to. What the compiler has inlined counts for its caller.
"""

import collections
import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

import run
from localrun import probe
from localrun.children import Children, Failed, Stopped

OTHER = "other (std: collections, formatting, glue)"
REPORT = run.ROOT / "loadtest" / "report" / "profile.md"
CALLERS = (1, 32)
LOAD_S, SAMPLED_S = 16, 10
SAMPLES_PER_S = 1999

KERNEL = (
    ("network: sending", r"(sys|do)_(writev|sendto|sendmsg)$"),
    ("network: receiving", r"sys_(recvfrom|recvmsg|read|readv)$"),
    ("waiting for events (epoll)", r"sys_epoll_\w+$"),
    ("waking and parking threads (futex, eventfd)", r"sys_(futex|write|nanosleep|clock_nanosleep)$"),
    ("other processes' turns (preemption)", r"^(__)?schedule$|reschedule_ipi"),
)
USER = (
    ("allocation", r"^(malloc|calloc|realloc|cfree|free|_int_\w+|unlink_chunk|malloc_consolidate|tcache|__rust_\w+)"),
    ("copying and comparing", r"^(__mem|__str|mem(cpy|move|set|cmp))"),
    ("clock", r"clock_gettime|Instant::now|quanta"),
    ("secondary model (in process)", r"local_model"),
    ("store: client", r"\bredis|deadpool|features::store|combine::"),
    ("assembly of features", r"\bfeatures::|^__?(ieee754_)?(pow|exp|log|sin|cos|asin|atan)"),
    ("scheduler", r"triton_client::(schedule|service_time|breaker|members|endpoint)"),
    ("gRPC to Triton", r"\bh2::|hpack|tonic|prost|triton_client::|http_body"),
    ("HTTP to the caller", r"\bhyper|httparse|\bhttp::|axum|tower|matchit|gateway::ingress"),
    ("JSON", r"serde|itoa|ryu|zmij|from_utf8"),
    ("metrics", r"metrics|gateway::telemetry|sketches"),
    ("pipeline, tiers, policy", r"\bgateway::"),
    ("runtime (tokio)", r"tokio|mio::|parking_lot|futures|futex|condvar|epoll_wait|^syscall"),
)


class Profile(run.Run):
    """A run that is put under load and sampled."""

    def main(self) -> None:
        """From nothing to the report."""
        self.settle_triton()
        if not self.owns_triton:
            raise Failed("a profile needs a Triton of its own: leave TRITON unset, on Linux on x86-64")
        self.require_ports()
        self.build()
        cargo = ["cargo", "build", "--locked", "--release", "--package", "loadtest", "--bin", "loadtest"]
        self.children.run("the build of the loader", cargo)
        self.logs.mkdir(parents=True, exist_ok=True)
        redis_port = self.store.rsplit(":", 1)[-1]
        redis = ["redis-server", "--port", redis_port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.children.start("redis-server", redis, self.logs / "redis.log")
        self.start_triton()
        self.children.sleep(1)
        self.load_features()
        gavel = self.start_gavel()
        self.wait_for_primary()
        if not primary_is_ready(self.admin_url):
            raise Failed("the primary tier is not ready: its reason is above")
        measured = {callers: self.measure(gavel.pid, callers) for callers in CALLERS}
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(report(measured, self.binary))
        print(REPORT.read_text())

    def measure(self, pid: int, callers: int) -> tuple[dict, collections.Counter[str]]:
        """What the loader recorded, and samples by stage."""
        run.say(f"{callers} callers: {LOAD_S} s of load, {SAMPLED_S} s of it sampled")
        record, data = self.logs / f"load-{callers}.json", self.logs / f"perf-{callers}.data"
        loader = [self.binary.parent / "loadtest", "run", "--address", f"127.0.0.1:{self.port}", "--closed", callers]
        loader += ["--gateway", pid, "--warm-up", "1s", "--measured", f"{LOAD_S}s"]
        load = self.children.start("the loader", loader, record)
        self.children.sleep(3)
        perf = ["perf", "record", "-q", "-F", SAMPLES_PER_S, "-g", "-p", pid, "-o", data, "--", "sleep", SAMPLED_S]
        self.children.run("perf", perf, grace_s=SAMPLED_S)
        while not load.ended():
            self.children.sleep(0.2)
        lines = record.read_text().splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
        if not found:
            raise Failed(f"the loader recorded nothing:\n{load.last_lines()}")
        return found[-1], stages(data)


def primary_is_ready(admin_url: str) -> bool:
    """Whether Triton answers."""
    return bool(run.primary_tier(probe.ask_json(f"{admin_url}/admin/decisions")).get("ready"))


def stages(data: Path) -> collections.Counter[str]:
    """Samples by stage."""
    script = ["perf", "script", "--no-inline", "-F", "ip,sym,dso", "-i", str(data)]
    text = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    counted: collections.Counter[str] = collections.Counter()
    for sample in text.split("\n\n"):
        frames = [line.split(maxsplit=1)[-1] for line in sample.strip().splitlines() if line.strip()]
        if frames:
            counted[stage(frames)] += 1
    return counted


def stage(frames: list[str]) -> str:
    """The stage of one sample: the innermost frame comes first."""
    symbol, _, module = frames[0].rpartition(" (")
    if "kernel" in module or "[k" in module:
        calls = [frame.rpartition(" (")[0] for frame in frames]
        for name, pattern in KERNEL:
            if any(re.search(pattern, call) for call in calls):
                return name
        return "other kernel"
    if "vdso" in module:
        return "clock"
    return next((name for name, pattern in USER if re.search(pattern, symbol)), OTHER)


def report(measured: dict[int, tuple[dict, collections.Counter[str]]], binary: Path) -> str:
    """The page."""
    names = [name for name, _ in (*KERNEL, *USER)] + ["other kernel", OTHER]
    last = measured[CALLERS[-1]][1]
    names.sort(key=lambda name: -last[name])
    head = " | ".join(f"{callers} caller{'s' * (callers > 1)}, share | µs" for callers in measured)
    rows = []
    for name in names:
        cells = []
        for record, counted in measured.values():
            share = counted[name] / max(counted.total(), 1)
            cells.append(f"{share:.1%} | {share * record['cpu_us']['gateway']:.1f}")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    totals = [f"{counted.total()} samples | {record['cpu_us']['gateway']:.1f}" for record, counted in measured.values()]
    told = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, Linux {platform.release()}"
    return f"""# Where the CPU time of a decision goes

`make profile` on {time.strftime("%Y-%m-%d")}: {told}, {machine};
`fraud`'s example, JSON, features in Redis, Triton on the same machine; the gateway's process alone, by perf at
{SAMPLES_PER_S} Hz. What was done about it is told in [profile-history.md](profile-history.md).

| | {head} |
|---|{"---:|---:|" * len(measured)}
{chr(10).join(rows)}
| all | {" | ".join(totals)} |

A sample counts for the function that it was taken in, so what is inlined counts for its caller. With one caller every
decision wakes sleeping threads on cold caches; with 32 those costs are shared.
"""


def main() -> int:
    """The exit status."""
    os.chdir(run.ROOT)
    os.environ.setdefault("STORE", "redis://127.0.0.1:16379")
    os.environ.setdefault("PORT", "18080")
    os.environ.setdefault("ADMIN_PORT", "18090")
    status = 0
    try:
        with Children() as children:
            try:
                Profile(children).main()
            except Stopped:
                status = 130
            except Failed as failure:
                run.say(str(failure))
                status = 1
    finally:
        run.remove_shared_memory()
    return status


if __name__ == "__main__":
    sys.exit(main())
