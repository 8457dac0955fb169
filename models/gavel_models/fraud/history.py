"""The views as the online store would have answered at earlier moments: `gavel features history`."""

import csv
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from gavel_models import paths
from gavel_models.catalog import Catalog, ViewFeature, ViewRow
from gavel_models.fraud.payments import Payment
from gavel_models.transforms import Value

VIEWS = ("card", "store")


def rows(events: list[Payment], asked: list[Payment], catalog: Catalog) -> list[dict[str, ViewRow | None]]:
    """The rows by view that each of `asked` reads at its own time, of the `events` strictly before."""
    with TemporaryDirectory() as folder:
        past, spine, out = (Path(folder) / name for name in ("payments.jsonl", "spine.csv", "rows.csv"))
        past.write_text(lines(events))
        with spine.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["id", "card_id", "store_id", "time"])
            table.writerows([p.id, p.card_id, p.store_id, p.at] for p in asked)
        command = [paths.gavel(), "features", "history", f"--events={past}=payment", f"--spine={spine}"]
        command += [f"--views={','.join(VIEWS)}", "--status", f"--out={out}", f"--decisions={paths.DECISIONS}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"gavel features history failed:\n{done.stderr}{done.stdout}")
        found = list(_read(out, catalog))
    if len(found) != len(asked):
        raise RuntimeError(f"gavel features history wrote {len(found)} rows for {len(asked)} payments")
    return found


def lines(events: list[Payment]) -> str:
    """The payments as `gavel ingest` takes them: JSON lines."""
    return "".join(json.dumps(payment.event()) + "\n" for payment in events)


def _read(table: Path, catalog: Catalog) -> Iterator[dict[str, ViewRow | None]]:
    with table.open(newline="") as file:
        reader = csv.reader(file)
        places = {name: i for i, name in enumerate(next(reader))}
        wanted = {
            view: [
                (name, feature, places[f"{view}.{name}"], places[f"{view}.{name}.status"])
                for name, feature in catalog.views[view].items()
            ]
            for view in VIEWS
        }
        for cells in reader:
            yield {view: _row(cells, columns) for view, columns in wanted.items()}


def _row(cells: list[str], columns: list[tuple[str, ViewFeature, int, int]]) -> ViewRow | None:
    statuses = {cells[status] for *_, status in columns}
    if "missing" in statuses:
        if statuses != {"missing"}:
            raise ValueError(f"a row is missing in part: {cells}")
        return None
    return {name: _value(cells[place], cells[status], feature) for name, feature, place, status in columns}


def _value(cell: str, status: str, feature: ViewFeature) -> Value | None:
    if status == "null":
        return None
    return feature.rounded(json.loads(cell))
