"""Print line coverage by crate. Usage: coverage_table.py SUMMARY.json, which cargo llvm-cov wrote."""

import json
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """One row a crate: lines of its src/, how many ran, the share."""
    lines: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for file in json.loads(Path(sys.argv[1]).read_text())["data"][0]["files"]:
        path = Path(file["filename"])
        if not path.is_relative_to(ROOT / "crates"):
            continue
        crate, folder, *_ = path.relative_to(ROOT / "crates").parts
        if folder != "src":
            continue
        for name in (crate, "all"):
            lines[name][0] += file["summary"]["lines"]["count"]
            lines[name][1] += file["summary"]["lines"]["covered"]
    total = lines.pop("all")
    print(f"{'crate':16}{'lines':>8}{'covered':>9}{'share':>8}")
    for name, (count, covered) in [*sorted(lines.items()), ("all", total)]:
        print(f"{name:16}{count:8}{covered:9}{covered / max(count, 1):8.1%}")


if __name__ == "__main__":
    main()
