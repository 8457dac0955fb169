"""The page: every target with what was measured, and the measurements."""

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .stage import ROOT

MIB = 1 << 20
LOADS = (
    *("load", "system", "offered/s", "/s", "p50 us", "p99 us", "gateway CPU", "Redis CPU", "loader CPU"),
    *("secondary, rules", "wrong", "unchecked", "store missed", "errors", "cache hits", "logged / dropped"),
)
INGESTED = (
    *("store", "events", "entities", "events/s", "gavel CPU", "Redis CPU", "resident MiB of gavel"),
    *("stored bytes an entity", "stored MiB a million entities"),
)


class Measured:
    """Records, by scenario and system."""

    def __init__(self, records: list[dict]) -> None:
        """Order does not matter."""
        self.records = records

    def all(self, scenario: str, system: str) -> list[dict]:
        """All rounds."""
        return [r for r in self.records if (r["scenario"], r["system"]) == (scenario, system)]

    def median(self, scenario: str, system: str, value: Callable[[dict], float | None]) -> float | None:
        """The median of a value over the rounds; None where it was not measured."""
        values = [value(record) for record in self.all(scenario, system)]
        return statistics.median(values) if values and None not in values else None

    def ratio(self, scenario: str, ours: str, theirs: str, value: Callable[[dict], float | None]) -> float | None:
        """Of the medians of two systems."""
        pair = [self.median(scenario, system, value) for system in (ours, theirs)]
        return pair[0] / pair[1] if None not in pair and pair[1] else None

    def spread(self, scenario: str, ours: str, theirs: str, value: Callable[[dict], float | None]) -> str:
        """The lowest and the highest ratio of one round, in words."""
        by_round = {r["round"]: value(r) for r in self.all(scenario, theirs)}
        pairs = [(value(r), by_round.get(r["round"])) for r in self.all(scenario, ours)]
        ratios = [a / b for a, b in pairs if a is not None and b]
        return f"{len(ratios)} rounds, {min(ratios):.2f} to {max(ratios):.2f}" if ratios else "not measured"


def p50(record: dict) -> float:
    """Microseconds."""
    return record["p50_us"]


def gateway_cpu(record: dict) -> float:
    """Microseconds a decision."""
    return record["cpu_us"]["gateway"]


def whole_cpu(record: dict) -> float:
    """Gateway and Redis."""
    return record["cpu_us"]["gateway"] + record["cpu_us"]["store"]


def targets(measured: Measured) -> list[str]:
    """The rows of the first table."""

    def at_most(what: str, bound: float, scenario: str, pair: tuple[str, str], value: Callable, how: str) -> str:
        ratio = measured.ratio(scenario, *pair, value)
        shown = "not measured" if ratio is None else f"{ratio:.3f}"
        verdict = "" if ratio is None else "met" if ratio <= bound else "**missed**"
        return f"| {what} | ≤ {bound:.2f} | {shown} | {verdict} | {how}; {measured.spread(scenario, *pair, value)} |"

    def at_least(kind: str, bound: int) -> str:
        rates = [record["events_per_s"] for record in measured.all("ingest", f"ingest-{kind}")]
        rate = statistics.median(rates) if rates else None
        shown = "not measured" if rate is None else f"{rate:,.0f}"
        verdict = "" if rate is None else "met" if rate >= bound else "**missed**"
        if verdict == "**missed**":
            verdict += f": [profile](ingest-{kind}-profile.txt)"
        how = f"one file, start to end of the process; {', '.join(f'{rate:,}' for rate in rates)}"
        return f"| events/s of `gavel ingest` on one core, {kind} | ≥ {bound:,} | {shown} | {verdict} | {how} |"

    rows = [
        at_most(f"p50, Gavel / {name}", bound, "feast", ("gavel", system), p50, how)
        for name, bound, system, how in (
            ("Feast in process", 1 / 5, "feast in process", "one call after the other, no cache"),
            ("`feast serve`", 1 / 20, "feast serve", "kept connection, one worker, restarts off, no cache"),
            ("raw HMGET from Rust, one of 275 fields", 1.3, "raw_one", "no cache"),
            ("raw HMGETs from Rust, 25 of 11 in one pipeline", 1.3, "raw_each", "no cache"),
        )
    ]
    rows.append(
        at_most(
            "CPU of a whole decision (gateway + Redis), packed row / 40-field HMGET",
            0.8,
            "rows",
            ("packed", "hashed"),
            whole_cpu,
            "open loop, no cache",
        )
    )
    rows += [at_least("embedded", 50_000), at_least("redis", 20_000)]
    log = "open loop, model in process, every decision kept"
    pair = ("log-on", "log-off")
    rows.append(at_most("gateway CPU a decision, decision log on / off", 1.1, "log", pair, gateway_cpu, log))
    values = measured.all("feast-values", "gavel")
    if values:
        found = f"{values[0]['values'] - values[0]['different']} of {values[0]['values']}"
        verdict = "**missed**" if values[0]["different"] else "met"
        how = "views pushed and materialized in turn; all types: the tests of `features`"
        rows.append(f"| values that Feast wrote and Gavel reads the same | all | {found} | {verdict} | {how} |")
    return rows


def head(columns: tuple[str, ...]) -> list[str]:
    """Of a table."""
    return [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]


def loads(measured: Measured) -> list[str]:
    """The rows of the decisions under load."""
    rows = []
    for scenario, system in (
        ("rows", "packed"),
        ("rows", "hashed"),
        ("cache", "packed"),
        ("cache", "cached"),
        ("log", "log-on"),
        ("log", "log-off"),
    ):
        rounds = measured.all(scenario, system)
        if not rounds:
            continue
        middle = lambda value, rounds=rounds: statistics.median(map(value, rounds))  # noqa: E731
        total = lambda key, rounds=rounds: sum(int(record.get(key) or 0) for record in rounds)  # noqa: E731
        hits = [record["hit_share"] for record in rounds if record.get("hit_share") is not None]
        tiers = ", ".join(str(sum(record["tiers"][tier] for record in rounds)) for tier in ("secondary", "rules"))
        rows.append(
            f"| {scenario} | {system} | {rounds[0]['offered']:.0f} | {middle(lambda r: r['throughput']):.0f} | "
            f"{middle(p50):.0f} | {middle(lambda r: r['p99_us']):.0f} | {middle(gateway_cpu):.1f} | "
            f"{middle(lambda r: r['cpu_us']['store']):.1f} | {middle(lambda r: r['loader_cpu_us']):.1f} | {tiers} | "
            f"{total('wrong')} | {total('unchecked')} | {total('without_store')} | {total('errors')} | "
            f"{f'{statistics.median(hits):.1%}' if hits else '-'} | "
            f"{total('log_written')} / {total('log_dropped_full')} |"
        )
    return rows


def reads(measured: Measured) -> list[str]:
    """The rows of Feast's set-up."""
    rows = []
    for system in ("gavel", "gavel_cached", "raw_one", "raw_each", "feast in process", "feast serve"):
        middle = measured.median("feast", system, p50)
        if middle is not None:
            count = sum(record["reads"] for record in measured.all("feast", system))
            rows.append(f"| {system} | {count} | {middle:.1f} |")
    return rows


def ingested(measured: Measured) -> list[str]:
    """The rows of ingestion."""
    rows = []
    for kind in ("embedded", "redis"):
        name = ("ingest", f"ingest-{kind}")
        if not measured.all(*name):
            continue
        middle = lambda key, name=name: measured.median(*name, lambda record: record[key])  # noqa: E731
        kept, entities = middle("disk_bytes" if kind == "embedded" else "redis_bytes"), middle("entities")
        rows.append(
            f"| {kind} | {middle('events'):,.0f} | {entities:,.0f} | {middle('events_per_s'):,.0f} | "
            f"{middle('gavel_cpu_us'):.1f} | {middle('redis_cpu_us'):.1f} | {middle('resident_bytes') / MIB:.0f} | "
            f"{kept / entities:.0f} | {kept / entities * 1e6 / MIB:,.0f} |"
        )
    return rows


def machine(gavel: Path, load_before: str, options: str) -> list[str]:
    """Where and with what it was measured."""

    def said(*command: str | Path) -> str:
        try:
            told = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        except OSError:
            return "unknown"
        return told.stdout.strip() or "unknown"

    def field(file: str, name: str) -> str:
        lines = [line.partition(":") for line in Path(file).read_text().splitlines()]
        return next((value.strip() for found, _, value in lines if found.strip() == name), "unknown")

    return [
        f"- date: {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}",
        f"- machine: {os.cpu_count()} cores of {field('/proc/cpuinfo', 'model name')}, "
        f"memory {field('/proc/meminfo', 'MemTotal')}",
        f"- system: {platform.system()} {platform.release()}",
        f"- load average before (1, 5, 15 minutes): {load_before}",
        f"- Gavel: {said(gavel, '--version')}, commit {said('git', 'describe', '--always', '--dirty')}",
        f"- Redis: {said('redis-server', '--version')}",
        f"- compiler: {said('rustc', '--version')}",
        f"- {options}",
    ]


def page(records: list[dict], about: list[str]) -> str:
    """The whole page."""
    measured = Measured(records)
    newline = "\n"
    return f"""# What features cost

Written by `make bench-features`; every measurement is a line of `features.jsonl`. Systems take turns within one run on
one machine, which the loader shares: trust ratios, not absolute times. Values are medians over rounds.

{newline.join(about)}

## Targets

| | target | measured | | how |
|---|---|---|---|---|
{newline.join(targets(measured))}

## Feast's set-up

25 views of 10 features of one entity, which Feast has written to its Redis; p50 of the rounds, microseconds. `gavel` is
the assembly of a decision's 250 features, decoded into its row, without the hot-key cache; `gavel_cached` has it, so
that most reads ask nobody: for information. `raw_one` is one HMGET of the same 275 fields from Rust, not decoded;
`raw_each` 25 HMGETs in one pipeline, as Feast asks.

| | reads | p50 us |
|---|---|---|
{newline.join(reads(measured))}

## Decisions under load

Open loop, HTTP/1.1 with JSON. `rows`: a decision by 2 rules over one view of 40 floats of 10,000 cards, as Gavel's
packed row and as a plain hash of texts, without the cache. `cache`: the packed one with the hot-key cache and without,
cards drawn by Zipf's law: for information. `log`: the decision `fraud` without Triton, the model in process answers,
with every decision kept in segments on disk and with none; what was logged counts the warm-ups too. CPU is
microseconds a decision, all threads of the gateway.

{newline.join([*head(LOADS), *loads(measured)])}

## Ingestion

A file of payments of one day into an empty store: one view of 3 windows (1h, 24h, 30d) x 4 aggregates (count, sum,
mean, max). `gavel ingest` has core 0 and nothing else, its store's threads included; Redis has core 1. CPU is
microseconds an event. Stored bytes are the growth of Redis's `used_memory`, or blocks on disk of the
embedded store with its journal.

{newline.join([*head(INGESTED), *ingested(measured)])}
"""
