"""The models as a real Triton serves them: compared with ONNX Runtime here, and timed."""

import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile

import numpy as np
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from gavel_models import latency, paths
from gavel_models.latency import Latency

START_LIMIT_S = 60
CALLERS = 16


@dataclass(frozen=True)
class Served:
    """One model, called over gRPC."""

    largest_difference: float  # from the scores expected
    one_row: Latency
    full_batch: Latency
    batch: int
    rows_a_run: float  # mean batch that Triton formed while `CALLERS` callers sent a row each


def supported() -> str | None:
    """Why Triton cannot run on this machine, or None."""
    answer = subprocess.run([paths.TRITON, "supported"], capture_output=True, text=True, check=False)
    return answer.stderr.strip() if answer.returncode else None


@contextmanager
def triton() -> Iterator[grpc.InferenceServerClient]:
    """Triton on our repository with the CPU configs; it ends with the block."""
    subprocess.run([paths.TRITON, "fetch"], check=True)
    ports = _free_ports(3)
    options = zip(("--grpc-port", "--http-port", "--metrics-port"), map(str, ports), strict=True)
    with TemporaryFile("w+") as log:
        command = [paths.TRITON, "serve", *(word for option in options for word in option)]
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            client = grpc.InferenceServerClient(f"127.0.0.1:{ports[0]}")
            if not _ready(client, server):
                log.seek(0)
                raise RuntimeError(f"Triton did not start:\n{log.read()[-4000:]}")
            yield client
        finally:
            server.terminate()
            server.wait()


def measure(
    client: grpc.InferenceServerClient, model: str, step: str, rows: np.ndarray, expected: np.ndarray, batch: int
) -> Served:
    """Compare all `rows` `[N, F]`, by ones from many callers and by batches, and time both.

    `step` is the model whose batches are counted: the model itself, or a step of an ensemble.
    """
    ones = [rows[i : i + 1] for i in range(1000)]
    before = client.get_inference_statistics(step).model_stats[0]
    with ThreadPoolExecutor(CALLERS) as pool:
        singly = np.concatenate(list(pool.map(lambda row: infer(client, model, row), ones)))
    after = client.get_inference_statistics(step).model_stats[0]
    batches = [infer(client, model, rows[start : start + batch]) for start in range(0, len(rows), batch)]
    differences = np.abs(singly - expected[:1000]).max(), np.abs(np.concatenate(batches) - expected).max()
    return Served(
        float(max(differences)),
        latency.of_call(lambda: infer(client, model, rows[:1]), 2000),
        latency.of_call(lambda: infer(client, model, rows[:batch]), 1000),
        batch,
        (after.inference_count - before.inference_count) / (after.execution_count - before.execution_count),
    )


def infer(client: grpc.InferenceServerClient, model: str, rows: np.ndarray) -> np.ndarray:
    """`features` `[n, F]` to `score` `[n, 1]`, one call."""
    tensor = grpc.InferInput("features", rows.shape, "FP32")
    tensor.set_data_from_numpy(np.ascontiguousarray(rows))
    return client.infer(model, [tensor]).as_numpy("score")


def _ready(client: grpc.InferenceServerClient, server: subprocess.Popen) -> bool:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if client.is_server_ready():
                return True
        except InferenceServerException:
            pass
        time.sleep(0.2)
    return False


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for opened in sockets:
            opened.bind(("127.0.0.1", 0))
        return [opened.getsockname()[1] for opened in sockets]
