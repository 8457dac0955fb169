"""How long a run takes in ONNX Runtime on one thread."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gavel_models import onnx_file


@dataclass(frozen=True)
class Latency:
    """Microseconds a call."""

    p50_us: float
    p99_us: float


def of_onnx(path: Path, rows: np.ndarray, runs: int = 3000) -> Latency:
    """Time `runs` runs of the file on all of `rows` `[N, width]`, after a tenth as many to warm up."""
    opened = onnx_file.session(path)
    feeds = {opened.get_inputs()[0].name: np.ascontiguousarray(rows)}
    return of_call(lambda: opened.run(None, feeds), runs)


def of_call(call: Callable[[], object], runs: int) -> Latency:
    """Time `runs` calls, after a tenth as many to warm up."""
    durations = np.empty(runs)
    for i in range(-runs // 10, runs):
        start = time.perf_counter_ns()
        call()
        if i >= 0:
            durations[i] = time.perf_counter_ns() - start
    return Latency(*(np.quantile(durations, [0.5, 0.99]) / 1000))
