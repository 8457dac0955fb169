"""Feast's own set-up, read by Gavel, by Feast and bare: 25 views x 10 features of one entity, from one Redis.

    scripts/feast.sh python scripts/feast_bench.py [--rounds 30] [--reads 100] [--gavel PROGRAM] [--records FILE]

Everything runs in the same minutes, in turns: Gavel's assembly with and without its cache, the bare HMGET from Rust,
Feast in process, `feast serve` over one kept connection (its restarts off). Needs redis-server and cargo; prints p50,
p99 and ratios. With --gavel every value that it reads is compared with Feast's; with --records both are added to a
file, a line of JSON each.
"""

import argparse
import datetime as dt
import http.client
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, PushSource, ValueType
from feast.data_source import PushMode
from feast.types import Bool, Float32, Float64, Int64, String

ROOT = Path(__file__).resolve().parent.parent
VIEWS, FEATURES = 25, 10
TYPES = [Int64, Float64, Float32, Bool, String, Int64, Float64, Float32, Float64, Int64]
VALUES = [17, 12.75, 0.5, True, "DE", 1_772_366_400, -0.25, 3.5, 1e6, -3]


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until_open(port: int, seconds: float) -> None:
    """Wait until somebody listens there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"nobody listens on port {port} after {seconds} s")


def write(folder: Path, redis: int) -> FeatureStore:
    """Apply the views; one entity's row of each, pushed into those of even number and materialized into the others."""
    (folder / "feature_store.yaml").write_text(
        "project: bench\nregistry: registry.db\nprovider: local\n"
        f"online_store:\n  type: redis\n  connection_string: 127.0.0.1:{redis}\n"
        "entity_key_serialization_version: 3\n"
    )
    store = FeatureStore(repo_path=str(folder))
    user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
    views = []
    for number in range(VIEWS):
        batch = FileSource(path=str(folder / f"view_{number}.parquet"), timestamp_field="event_timestamp")
        schema = [Field(name="user_id", dtype=String)]
        schema += [Field(name=f"f{feature}", dtype=TYPES[feature]) for feature in range(FEATURES)]
        source = PushSource(name=f"push_{number}", batch_source=batch)
        views.append(
            FeatureView(name=f"view_{number}", entities=[user], ttl=dt.timedelta(days=30), schema=schema, source=source)
        )
    store.apply([user, *views])
    now = dt.datetime.now(dt.UTC)
    row = {"user_id": ["u_1"], "event_timestamp": [now]}
    frame = pd.DataFrame(row | {f"f{feature}": [VALUES[feature]] for feature in range(FEATURES)})
    for number in range(0, VIEWS, 2):
        store.push(f"push_{number}", frame, to=PushMode.ONLINE)
    materialized = range(1, VIEWS, 2)
    for number in materialized:
        frame.to_parquet(folder / f"view_{number}.parquet")
    day = dt.timedelta(days=1)
    # It shows its progress on standard error.
    store.materialize(now - day, now + day, feature_views=[f"view_{number}" for number in materialized])
    return store


def compare(gavel: str, folder: Path, store: FeatureStore) -> dict[str, int]:
    """How many values there are, and how many of them Gavel reads otherwise than Feast."""
    ours: dict[str, object] = {}
    for number in range(VIEWS):
        command = [gavel, "features", "get", "--feast", str(folder / "feature_store.yaml"), "--view", f"view_{number}"]
        said = subprocess.run([*command, "--entity", "user_id=u_1", "--json"], check=True, capture_output=True)
        features = json.loads(said.stdout)["features"]
        ours |= {f"view_{number}:{name}": found["value"] for name, found in features.items()}
    answer = store.get_online_features(features=references(), entity_rows=[{"user_id": "u_1"}], full_feature_names=True)
    theirs = {name.replace("__", ":"): values[0] for name, values in answer.to_dict().items() if name != "user_id"}
    differ = [name for name in references() if ours.get(name) != theirs[name] or theirs[name] is None]
    for name in differ:
        print(f"{name}: Feast says {theirs[name]!r}, Gavel {ours.get(name)!r}")
    return {"values": len(references()), "different": len(differ)}


def references() -> list[str]:
    """All features, as Feast is asked for them."""
    return [f"view_{view}:f{feature}" for view in range(VIEWS) for feature in range(FEATURES)]


def micros(call: Callable[[], None], count: int) -> list[float]:
    """Time `count` calls, each by itself."""
    times = []
    for _ in range(count):
        started = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - started) / 1000)
    return times


def report(times: dict[str, list[float]]) -> None:
    """Print p50, p99 and how many times Gavel's and the bare read's p50 each is."""
    medians = {name: statistics.median(all_times) for name, all_times in times.items()}
    print(f"{'':28}{'reads':>8}{'p50 us':>10}{'p99 us':>10}{'x gavel':>10}{'x raw_one':>10}")
    for name, all_times in times.items():
        p99 = statistics.quantiles(all_times, n=100)[98]
        ratios = (medians[name] / medians[base] for base in ("gavel", "raw_one"))
        print(f"{name:28}{len(all_times):8}{medians[name]:10.1f}{p99:10.1f}" + "".join(f"{r:10.2f}" for r in ratios))
    gavel = medians["gavel"]
    for name, target in (("feast in process", 1 / 5), ("feast serve", 1 / 20), ("raw_one", 1.3), ("raw_each", 1.3)):
        ratio = gavel / medians[name]
        print(f"gavel / {name}: {ratio:.3f}, target {target:.3f}: {'met' if ratio <= target else 'MISSED'}")


def main() -> None:
    """Start everything, take turns, print."""
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--reads", type=int, default=100, help="reads of each kind in a round")
    parser.add_argument("--gavel", help="the program, to compare every value with Feast's")
    parser.add_argument("--records", type=Path, help="a file that gets a line of JSON for every measurement")
    options = parser.parse_args()
    build = ["cargo", "build", "--release", "--locked", "-p", "features", "--example", "feast_cost"]
    subprocess.run(build, cwd=ROOT, check=True)
    target = json.loads(
        subprocess.run(
            ["cargo", "metadata", "--format-version", "1", "--no-deps"], cwd=ROOT, check=True, capture_output=True
        ).stdout
    )["target_directory"]
    children = []
    with tempfile.TemporaryDirectory() as name:
        folder, redis, port = Path(name), free_port(), free_port()
        try:
            server = ["redis-server", "--port", str(redis), "--save", "", "--daemonize", "no"]
            children.append(subprocess.Popen(server, cwd=folder, stdout=subprocess.DEVNULL))
            until_open(redis, 10)
            store = write(folder, redis)
            serve = [str(Path(sys.executable).parent / "feast"), "serve", "--port", str(port), "--no-access-log"]
            serve += ["--workers", "1", "--max-requests", "0", "--max-requests-jitter", "0"]
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            children.append(subprocess.Popen(serve, cwd=folder, **quiet))
            until_open(port, 60)
            rust = subprocess.Popen(
                [str(Path(target) / "release/examples/feast_cost"), str(folder), f"redis://127.0.0.1:{redis}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            children.append(rust)
            names, entity = references(), [{"user_id": "u_1"}]
            body = json.dumps({"features": names, "entities": {"user_id": ["u_1"]}, "full_feature_names": True})
            connection = http.client.HTTPConnection("127.0.0.1", port)

            def in_process() -> None:
                store.get_online_features(features=names, entity_rows=entity, full_feature_names=True)

            def served() -> None:
                connection.request("POST", "/get-online-features", body, {"content-type": "application/json"})
                answer = connection.getresponse()
                content = answer.read()
                if answer.status != 200:
                    sys.exit(f"feast serve answered {answer.status}: {content[:300]!r}")

            kinds = ("gavel", "gavel_cached", "raw_one", "raw_each", "feast in process", "feast serve")
            times: dict[str, list[float]] = {kind: [] for kind in kinds}
            records: list[dict] = []
            for turn in range(options.rounds + 1):
                rust.stdin.write(f"{options.reads}\n")
                rust.stdin.flush()
                found = json.loads(rust.stdout.readline())
                found["feast in process"] = micros(in_process, options.reads)
                found["feast serve"] = micros(served, options.reads)
                if turn > 0:  # The first warms up.
                    for kind, more in found.items():
                        times[kind] += more
                        record = {"scenario": "feast", "system": kind, "round": turn - 1, "reads": len(more)}
                        records.append(record | {"p50_us": round(statistics.median(more), 1)})
            report(times)
            if options.gavel:
                compared = compare(options.gavel, folder, store)
                print(
                    f"{compared['values']} values as Feast reads them and as Gavel does: {compared['different']} differ"
                )
                records.append({"scenario": "feast-values", "system": "gavel", "round": 0} | compared)
            if options.records:
                with options.records.open("a") as file:
                    file.writelines(json.dumps(record) + "\n" for record in records)
        finally:
            for child in reversed(children):
                child.terminate()
                child.wait()


if __name__ == "__main__":
    main()
