"""What features cost, on real servers; writes loadtest/report/features.md. Called by `make bench-features`.

Parts run one after the other, systems within a part take turns. Everything has ports and folders of its own.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from benched import decisions, ingest, report
from benched.stage import ROOT, Stage, say
from localrun.children import Children, Failed, Stopped

PARTS = ("feast", "rows", "log", "ingest")


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="some parts; again for more")
    parser.add_argument("--rounds", type=int, default=3, help="of every part but Feast's, which has ten times as many")
    parser.add_argument("--seconds", type=float, default=8, help="measured, of each load")
    parser.add_argument("--events", type=int, default=1_000_000, help="ingested in each round")
    parser.add_argument("--entities", type=int, default=100_000, help="that they are about")
    parser.add_argument("--report", type=Path, default=ROOT / "loadtest" / "report", help="the folder of the page")
    target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    parser.add_argument("--programs", type=Path, default=target / "release", help="the folder of gavel and loadtest")
    options = parser.parse_args()
    os.chdir(ROOT)
    try:
        with Children() as children, tempfile.TemporaryDirectory(prefix="bench-features-") as folder:
            run(children, options, Path(folder))
    except Stopped:
        return 130
    except Failed as failure:
        print(f"bench-features: {failure}", file=sys.stderr)
        return 1
    return 0


def run(children: Children, options: argparse.Namespace, folder: Path) -> None:
    """All parts, and the page."""
    if (os.cpu_count() or 1) < 2:
        raise Failed("two cores are needed: one for `gavel ingest`, one for Redis")
    started, load_before = time.monotonic(), " ".join(f"{load:.2f}" for load in os.getloadavg())
    options.report.mkdir(parents=True, exist_ok=True)
    stage = Stage(children, options.programs.resolve(), folder, (options.report / "features.jsonl").resolve())
    parts = {
        "feast": lambda: feast(stage, 10 * options.rounds),
        "rows": lambda: decisions.rows_and_cache(stage, options.rounds, options.seconds),
        "log": lambda: decisions.decision_log(stage, options.rounds, options.seconds),
        "ingest": lambda: ingest.ingest(stage, options.events, options.entities, options.rounds, options.report),
    }
    for name in options.only or PARTS:
        say(f"{name}, after {time.monotonic() - started:.0f} s")
        parts[name]()
    plan = f"plan: {options.rounds} rounds (Feast's set-up: {10 * options.rounds}) of {options.seconds:g} s"
    about = report.machine(stage.gavel, load_before, f"{plan}; all took {time.monotonic() - started:.0f} s")
    page = options.report / "features.md"
    page.write_text(report.page(stage.records, about))
    say(f"written to {page}")


def feast(stage: Stage, rounds: int) -> None:
    """Feast's own set-up, by the Python that has Feast."""
    records = stage.folder / "feast.jsonl"
    command = [ROOT / "scripts" / "feast.sh", "python", ROOT / "scripts" / "feast_bench.py", "--rounds", rounds]
    command += ["--gavel", stage.gavel, "--records", records]
    stage.children.run("scripts/feast_bench.py", command, grace_s=15)
    stage.take(records)


if __name__ == "__main__":
    sys.exit(main())
