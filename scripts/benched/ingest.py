"""Ingestion on one core: events a second, what an entity takes, and where the time goes."""

import random
import re
import time
from pathlib import Path

from localrun.children import Child, Failed

from .decisions import decision
from .profile import profile
from .stage import Redis, Stage, cpu_s, most_resident_bytes, on_core, say

SEED = 20190831
START_MS, SPAN_MS = 1_767_225_600_000, 86_400_000
WINDOWS = ("1h", "24h", "30d")
AGGREGATES = ("count", "sum", "mean", "max")
TARGETS = {"embedded": 50_000, "redis": 20_000}
PROFILED_S = 8
GAVELS_CORE, REDIS_CORE = 0, 1


def ingest(stage: Stage, events: int, entities: int, rounds: int, profiles: Path) -> None:
    """Both stores in turn; whichever misses its target is profiled, into `profiles`."""
    folder = stage.fresh("ingest")
    decisions, file = definitions(folder), folder / "events.jsonl"
    say(f"writing {events} events of {entities} entities")
    write(file, events, entities)
    with stage.redis(REDIS_CORE) as redis:
        job = Job(stage, decisions, file, events, entities, redis)
        for turn in range(rounds):
            for kind in TARGETS:
                stage.add(job.run(kind, turn))
        for kind, target in TARGETS.items():
            rates = [record["events_per_s"] for record in stage.records if record.get("system") == f"ingest-{kind}"]
            if sorted(rates)[len(rates) // 2] < target:
                job.profile(kind, profiles)


class Job:
    """One file into an empty store, as often as it is asked."""

    def __init__(self, stage: Stage, decisions: Path, file: Path, events: int, entities: int, redis: Redis) -> None:
        """Nothing is read."""
        self.stage = stage
        self.decisions = decisions
        self.file = file
        self.events = events
        self.entities = entities
        self.redis = redis

    def command(self, kind: str) -> tuple[list[str | Path], Path]:
        """The command into an empty store, and the embedded store's folder."""
        folder = self.stage.fresh("ingested")
        self.redis.call(["FLUSHALL"], ["SCRIPT", "FLUSH"], ["MEMORY", "PURGE"])
        store = self.redis.url if kind == "redis" else f"embedded:{folder / 'store'}"
        command = [*on_core(GAVELS_CORE), self.stage.gavel, "ingest", "--file", f"{self.file}=payment"]
        command += ["--store", store, "--decisions", self.decisions, "--dead-letter", folder / "letters.jsonl"]
        return command, folder / "store"

    def run(self, kind: str, turn: int) -> dict:
        """The record of one ingestion from start to end of the process."""
        command, folder = self.command(kind)
        before, redis_cpu_s = self.redis.used_bytes(), cpu_s(self.redis.child.pid)
        started = time.monotonic()
        child = self.stage.children.start("gavel ingest", command, self.stage.folder / "ingest.log")
        resident, gavel_cpu_s = 0, 0.0
        while not child.ended():
            resident = max(resident, most_resident_bytes(child.pid))
            gavel_cpu_s = max(gavel_cpu_s, cpu_s(child.pid))
            self.stage.children.sleep(0.02)
        seconds = time.monotonic() - started
        self.stage.children.forget(child)
        self.require_all(child)
        disk = sum(path.stat().st_blocks * 512 for path in folder.rglob("*")) if kind == "embedded" else None
        record = {
            "scenario": "ingest",
            "system": f"ingest-{kind}",
            "round": turn,
            "events": self.events,
            "entities": self.entities,
            "seconds": round(seconds, 2),
            "events_per_s": round(self.events / seconds),
            "gavel_cpu_us": round(1e6 * gavel_cpu_s / self.events, 2),
            "redis_cpu_us": round(1e6 * (cpu_s(self.redis.child.pid) - redis_cpu_s) / self.events, 2),
            "resident_bytes": resident,
            "redis_bytes": self.redis.used_bytes() - before if kind == "redis" else None,
            "disk_bytes": disk,
        }
        say(f"ingest {kind}, round {turn}: {record['events_per_s']}/s, gavel {record['gavel_cpu_us']} us an event")
        return record

    def require_all(self, child: Child) -> None:
        """`Failed` unless every event was counted, none of them late, twice or a dead letter."""
        said = (self.stage.folder / "ingest.log").read_text()
        if child.process.returncode != 0:
            raise Failed(f"gavel ingest {child.outcome()}:\n{child.last_lines()}")
        if not re.search(rf"^{self.events:,} events, [\d,]+/s, 100\.0 % in ", said, re.MULTILINE):
            raise Failed(f"gavel ingest did not count {self.events:,} events:\n{child.last_lines()}")

    def profile(self, kind: str, profiles: Path) -> None:
        """What bounds it, by perf, of a run that is ended before its end."""
        say(f"ingest {kind} is below its target: {PROFILED_S} s of it under perf")
        command, _ = self.command(kind)
        with self.stage.started("ingest-profiled", command) as child:
            self.stage.children.sleep(1)
            profile(self.stage, child.pid, PROFILED_S, f"gavel ingest, {kind}", profiles / f"ingest-{kind}-profile.txt")
        if kind == "redis":
            command, _ = self.command(kind)
            with self.stage.started("ingest-profiled", command):
                self.stage.children.sleep(1)
                file = profiles / "ingest-redis-server-profile.txt"
                profile(self.stage, self.redis.child.pid, PROFILED_S, "redis-server under gavel ingest", file)


def definitions(folder: Path) -> Path:
    """One view of events: three windows, four aggregates each."""
    directory = folder / "decisions"
    directory.mkdir()
    features = []
    for window in WINDOWS:
        for aggregate in AGGREGATES:
            of = "" if aggregate == "count" else ', of = "amount"'
            rest = f'aggregate = "{aggregate}", window = "{window}"{of}'
            features.append(f'{aggregate}_{window} = {{ dtype = "float32", default = 0.0, {rest} }}')
    (directory / "features.toml").write_text(f"""[entities]
card_id = "string"
[events.payment]
id = "id"
time = "t"
time_unit = "ms"
[events.payment.fields]
card_id = "string"
amount = "float64"
[views.velocity]
entity = "card_id"
events = "payment"
[views.velocity.features]
{chr(10).join(features)}
""")
    decision(directory, "")
    return directory


def write(file: Path, events: int, entities: int) -> None:
    """A day of payments in order, of cards chosen uniformly, the same in every run."""
    chance = random.Random(SEED)
    with file.open("w", buffering=1 << 20) as out:
        for number in range(events):
            card, cents = int(entities * chance.random()), int(100_000 * chance.random())
            time_ms = START_MS + SPAN_MS * number // events
            out.write(f'{{"id":"p{number}","t":{time_ms},"card_id":"c{card}","amount":{cents / 100}}}\n')
