"""Quality of scores against labels, each a plain function of two vectors `[N]`."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

BINS = 15


@dataclass(frozen=True)
class Quality:
    """What the tables show of one scorer."""

    auc: float
    auc_low: float  # 95% bootstrap interval
    auc_high: float
    brier: float
    calibration_error: float


def quality(labels: np.ndarray, scores: np.ndarray, resamples: int = 500, seed: int = 7) -> Quality:
    """All of them; the AUC's interval by resampling rows with replacement."""
    rng = np.random.default_rng(seed)
    picks = (rng.integers(0, len(labels), len(labels)) for _ in range(resamples))
    aucs = [auc(labels[pick], scores[pick]) for pick in picks]
    low, high = np.quantile(aucs, [0.025, 0.975])
    return Quality(
        auc(labels, scores), float(low), float(high), brier(labels, scores), calibration_error(labels, scores)
    )


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve, from ranks; ties count half."""
    positives = labels.astype(bool)
    n, m = positives.sum(), (~positives).sum()
    return float((rankdata(scores)[positives].sum() - n * (n + 1) / 2) / (n * m))


def brier(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean squared error of the probabilities."""
    return float(np.mean((scores - labels) ** 2))


def calibration_error(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean distance of score and observed rate over equal-width bins, weighted by rows (ECE)."""
    bins = np.minimum((scores * BINS).astype(int), BINS - 1)
    total = 0.0
    for b in np.unique(bins):
        chosen = bins == b
        total += chosen.sum() * abs(scores[chosen].mean() - labels[chosen].mean())
    return float(total / len(labels))
