"""What docs/models.md shows of `fraud`: quality, exactness, rules, latency, and the models as served."""

import os
import platform

import numpy as np

from gavel_models import latency, metrics, onnx_file, paths, report, repository, rules, served
from gavel_models.fraud import train
from gavel_models.fraud.dataset import Dataset
from gavel_models.fraud.policy import THRESHOLDS
from gavel_models.fraud.train import INT8, Models
from gavel_models.progress import note, step

BATCHES = (1, 64)
# (model, file): what stands in the repository.
FILES = (
    ("fraud_normalise", "model.onnx"),
    ("fraud_deep", "model.onnx"),
    ("fraud_deep", INT8),
    ("fraud_calibrate", "model.onnx"),
    ("fraud_secondary", "model.onnx"),
)


def quality(data: Dataset, models: Models) -> dict[str, str]:
    """Scores of the test months by every scorer, and how far each export is from its source."""
    primary = data.test.matrix(models.primary_features)
    secondary = data.test.matrix(models.secondary_features)
    table = rules.load(paths.DECISIONS / "fraud.rules.toml")
    answered = [table[rules.first_match(table, example.features)] for example in data.test.examples]
    scorers = {
        "fraud_primary, source (float64)": models.primary(primary),
        "fraud_primary, ONNX FP32": train.run_primary(primary),
        "fraud_primary, ONNX with fraud_deep INT8": train.run_primary(primary, INT8),
        "fraud_secondary, source (LightGBM)": models.secondary(secondary),
        "fraud_secondary, ONNX": train.run_secondary(secondary),
        "rules": np.array([[rule.scores["fraud"]] for rule in answered]),
        "amount alone (divided by 1,000)": primary[:, :1] / 1000,
    }
    rows = []
    for name, scores in scorers.items():
        q = metrics.quality(data.test.labels, scores[:, 0].astype(np.float64))
        note(f"{name}: AUC {q.auc:.4f}")
        auc = f"{q.auc:.4f} ({q.auc_low:.3f} to {q.auc_high:.3f})"
        rows.append([name, auc, f"{q.brier:.4f}", f"{q.calibration_error:.4f}"])
    by_name = list(scorers.values())
    pairs = {
        "fraud_primary, ONNX FP32": (by_name[1], by_name[0]),
        "fraud_primary, ONNX with fraud_deep INT8": (by_name[2], by_name[0]),
        "fraud_secondary, ONNX": (by_name[4], by_name[3]),
    }
    differences = [[name, *_differences(*pair)] for name, pair in pairs.items()]
    return {
        "fraud quality": report.table(["scorer", "AUC (95%)", "Brier", "calibration error"], rows),
        "fraud exactness": report.table(["export", "median", "99.9%", "largest", "actions changed"], differences),
    }


def rule_table(data: Dataset) -> dict[str, str]:
    """Measure the rules on the training months, write their scores, and show the counts."""
    path = paths.DECISIONS / "fraud.rules.toml"
    caught = rules.catch(rules.load(path), (e.features for e in data.train.examples), data.train.labels)
    rules.write_scores(path, "fraud", [row.rate for row in caught])
    rows = [
        [rule.reason, f"{row.rows:,}", f"{row.positives:,}", f"{rule.scores['fraud']:.3f}"]
        for rule, row in zip(rules.load(path), caught, strict=True)
    ]
    return {"fraud rules": report.table(["reason", "payments caught", "of these fraud", "score"], rows)}


def speed(data: Dataset, models: Models) -> dict[str, str]:
    """ONNX Runtime on one thread, each file of the repository."""
    inputs = {
        "fraud_normalise": data.test.matrix(models.primary_features),
        "fraud_secondary": data.test.matrix(models.secondary_features),
    }
    inputs["fraud_deep"] = onnx_file.run(repository.artefact("fraud_normalise"), inputs["fraud_normalise"])
    inputs["fraud_calibrate"] = onnx_file.run(repository.artefact("fraud_deep"), inputs["fraud_deep"])
    rows = []
    for model, filename in FILES:
        path = repository.artefact(model, filename)
        timed = [latency.of_onnx(path, inputs[model][:batch]) for batch in BATCHES]
        cells = [f"{t.p50_us:.1f} / {t.p99_us:.1f}" for t in timed]
        rows.append([f"{model}/1/{filename}", f"{path.stat().st_size / 1000:.1f}", *cells])
    header = ["file", "kB", *(f"batch {batch}: p50 / p99 µs" for batch in BATCHES)]
    machine = f"{os.cpu_count()} cores, {platform.machine()}, shared with other work while measured."
    return {"fraud latency": f"{report.table(header, rows)}\n\n{machine}"}


def as_served(data: Dataset, models: Models) -> dict[str, str]:
    """Both models as Triton serves them, on the CPU configs; nothing where Triton cannot run."""
    why = served.supported()
    if why:
        note(why)
        return {}
    primary = data.test.matrix(models.primary_features)
    secondary = data.test.matrix(models.secondary_features)
    with served.triton() as client:
        results = {
            "fraud_primary (3 steps)": served.measure(
                client, "fraud_primary", "fraud_deep", primary, train.run_primary(primary), BATCHES[1]
            ),
            "fraud_secondary": served.measure(
                client, "fraud_secondary", "fraud_secondary", secondary, train.run_secondary(secondary), BATCHES[1]
            ),
        }
    rows = [
        [
            name,
            f"{r.largest_difference:.1e}",
            f"{r.one_row.p50_us:.0f} / {r.one_row.p99_us:.0f}",
            f"{r.full_batch.p50_us:.0f} / {r.full_batch.p99_us:.0f}",
            f"{r.rows_a_run:.1f}",
        ]
        for name, r in results.items()
    ]
    header = [
        "model",
        "largest difference from ONNX Runtime",
        "one row: p50 / p99 µs",
        f"{BATCHES[1]} rows: p50 / p99 µs",
        f"rows a run with {served.CALLERS} callers",
    ]
    return {"fraud served": report.table(header, rows)}


def measure(data: Dataset, models: Models) -> None:
    """Measure everything; write docs/models.md and the rules' scores."""
    sections = rule_table(data)
    with step("measuring quality on the test months"):
        sections |= quality(data, models)
    with step("measuring latency in ONNX Runtime"):
        sections |= speed(data, models)
    with step("comparing with what Triton serves"):
        sections |= as_served(data, models)
    report.write(sections)


def _differences(scores: np.ndarray, source: np.ndarray) -> list[str]:
    distance = np.abs(scores - source)
    changed = (np.digitize(scores, THRESHOLDS) != np.digitize(source, THRESHOLDS)).sum()
    return [*(f"{q:.1e}" for q in np.quantile(distance, [0.5, 0.999, 1.0])), f"{changed} of {len(source):,}"]
