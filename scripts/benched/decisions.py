"""Decisions under load: packed rows beside hashes, the hot-key cache, the decision log. Gateways take turns."""

import contextlib
import itertools
import json
import random
from pathlib import Path

from .stage import ROOT, Gateway, Redis, Stage, say

CARDS = 10_000
FIELDS = [f"f{number}" for number in range(40)]
SEED = 20190831
# Questions: uniformly chosen cards, and cards of which few are asked about often, as in Zipf's law.
QUESTIONS = 4_000
PER_S = 4_000


def rows_and_cache(stage: Stage, rounds: int, seconds: float) -> None:
    """A small decision by rules alone, of one view of 40 floats: as a packed row, as a hash, and behind the cache."""
    folder = stage.fresh("rows")
    packed, hashed = definitions(folder, "packed", ""), definitions(folder, "hashed", 'hash = "profile:{card_id}"')
    uniform, zipf = questions(folder)
    with stage.redis() as redis, contextlib.ExitStack() as servers:
        fill(stage, redis, folder, packed)
        by_name = {
            name: servers.enter_context(stage.gateway(name, redis.url, decisions, name == "cached", None))
            for name, decisions in (("packed", packed), ("hashed", hashed), ("cached", packed))
        }
        for turn in range(rounds):
            for name in in_turn(["packed", "hashed"], turn):
                record = stage.load(by_name[name], redis, "rules", PER_S, seconds, uniform)
                keep(stage, record, "rows", name, turn)
            for name in in_turn(["packed", "cached"], turn):
                hits, misses = cache_usage(by_name[name])
                record = stage.load(by_name[name], redis, "rules", PER_S, seconds, zipf)
                more_hits, more_misses = cache_usage(by_name[name])
                read = more_hits - hits + more_misses - misses
                record["hit_share"] = (more_hits - hits) / read if read else None
                keep(stage, record, "cache", name, turn)


def decision_log(stage: Stage, rounds: int, seconds: float) -> None:
    """The repository's own decision without Triton: the model in process answers, with every decision kept and none."""
    with stage.redis() as redis, contextlib.ExitStack() as servers:
        ingest = ["ingest", f"--file={ROOT / 'examples' / 'payments.jsonl'}=payment", "--store", redis.url]
        stage.children.run("gavel ingest", [stage.gavel, *ingest, "--decisions", ROOT / "decisions"])
        log = stage.fresh("log")
        by_name = {
            name: servers.enter_context(stage.gateway(name, redis.url, ROOT / "decisions", False, directory))
            for name, directory in (("log-on", log), ("log-off", None))
        }
        for turn in range(rounds):
            for name in in_turn(list(by_name), turn):
                outcomes = {outcome: log_records(by_name[name], outcome) for outcome in ("written", "dropped_full")}
                record = stage.load(by_name[name], redis, "secondary", PER_S, seconds, None)
                for outcome, before in outcomes.items():
                    record[f"log_{outcome}"] = log_records(by_name[name], outcome) - before
                keep(stage, record, "log", name, turn)


def log_records(gateway: Gateway, outcome: str) -> float:
    """Records of decisions, by what became of them."""
    return gateway.metric(f'gavel_decision_log_records_total{{outcome="{outcome}"}}')


def cache_usage(gateway: Gateway) -> tuple[float, float]:
    """Keys that cost no read, and keys that did."""
    return gateway.metric("gavel_store_cache_hits_total"), gateway.metric("gavel_store_cache_misses_total")


def in_turn(names: list[str], turn: int) -> list[str]:
    """Who is first changes with every round."""
    return names if turn % 2 == 0 else names[::-1]


def keep(stage: Stage, record: dict, scenario: str, system: str, turn: int) -> None:
    """Name a loader's record and keep it."""
    record |= {"scenario": scenario, "system": system, "round": turn}
    cpu = record["cpu_us"]
    say(
        f"{scenario} {system}, round {turn}: {record['throughput']:.0f}/s, p50 {record['p50_us']:.0f} us, "
        f"CPU {cpu['gateway']:.1f} + {cpu['store']:.1f} us, tiers {record['tiers']}, wrong {record['wrong']}"
    )
    stage.add(record)


def definitions(folder: Path, name: str, source: str) -> Path:
    """A folder of decisions; `source` says where the view's rows are, packed rows without one."""
    directory = folder / name
    directory.mkdir()
    features = "\n".join(f'{field} = {{ dtype = "float32", default = -1.0 }}' for field in FIELDS)
    (directory / "features.toml").write_text(f"""[entities]
card_id = "string"
[views.profile]
entity = "card_id"
{source}
[views.profile.features]
{features}
""")
    # Every feature is looked at, and a card that was not found shows by its score.
    conditions = ", ".join(f'"profile.{field}" = {{ gte = 0.0 }}' for field in FIELDS)
    decision(directory, f'[[rules]]\nreason = "known"\nwhen = {{ {conditions} }}\nscores = {{ fraud = 0.9 }}\n')
    return directory


def decision(directory: Path, rules: str) -> None:
    """The decision `card`, by rules alone; the last of them is added."""
    last = '[[rules]]\nreason = "unknown"\nscores = { fraud = 0.1 }\n'
    (directory / "card.rules.toml").write_text(rules + last)
    (directory / "card.toml").write_text("""name = "card"
budget = "95ms"
[entities]
card_id = "string"
[request]
[[tiers]]
name = "rules"
kind = "rules"
table = "card.rules.toml"
[policy]
thresholds = [{ below = 0.5, action = "approve", reason = "low" }, { action = "review", reason = "high" }]
""")


def questions(folder: Path) -> tuple[Path, Path]:
    """Two files of questions about cards: uniform, and by Zipf's law."""
    chance = random.Random(SEED)
    weights = list(itertools.accumulate(1 / (place + 1) for place in range(CARDS)))
    chosen = {
        "uniform": chance.choices(range(CARDS), k=QUESTIONS),
        "zipf": chance.choices(range(CARDS), cum_weights=weights, k=QUESTIONS),
    }
    for name, cards in chosen.items():
        lines = ({"decision": "card", "entities": {"card_id": f"c{card}"}, "inputs": {}} for card in cards)
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "uniform.jsonl", folder / "zipf.jsonl"


def fill(stage: Stage, redis: Redis, folder: Path, packed: Path) -> None:
    """The same values of every card as a packed row and as a hash, as a Redis client writes it."""
    chance = random.Random(SEED)
    rows, hashes = [], []
    for card in range(CARDS):
        values = {field: round(chance.uniform(0, 1000), 2) for field in FIELDS}
        rows.append(json.dumps({"view": "profile", "entity": {"card_id": f"c{card}"}, "values": values}) + "\n")
        hashes.append(["HSET", f"profile:c{card}", *itertools.chain(*((key, str(v)) for key, v in values.items()))])
    file = folder / "rows.jsonl"
    file.write_text("".join(rows))
    load = ["features", "load", file, "--store", redis.url, "--decisions", packed]
    stage.children.run("gavel features load", [stage.gavel, *load])
    for hundred in range(0, CARDS, 100):
        redis.call(*hashes[hundred : hundred + 100])
