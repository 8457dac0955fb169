"""Progress on stderr: what is being done, and how long it took."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print `what` before the block and its duration after it."""
    print(f"models: {what} ...", file=sys.stderr, flush=True)
    start = time.perf_counter()
    yield
    note(f"{time.perf_counter() - start:.1f} s")


def note(text: str) -> None:
    """Print one indented line under the current step."""
    print(f"models:   {text}", file=sys.stderr, flush=True)
