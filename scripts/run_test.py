"""`make run`, tried on free ports: it answers, says who holds a port, and leaves nothing behind.

It builds the dev profile, which the other tests have built already.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from localrun import ports

ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 300
VARIABLES = ("PORT", "ADMIN_PORT", "TRITON_GRPC_PORT", "TRITON_HTTP_PORT", "TRITON_METRICS_PORT")


def start(environment: dict[str, str], output: Path) -> subprocess.Popen[bytes]:
    """One run, its output in a file."""
    with output.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, ROOT / "scripts" / "run.py"],
            env=os.environ | {"PROFILE": "dev"} | environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def wait_for(text: str, run: subprocess.Popen[bytes], output: Path) -> str:
    """What it printed, once that holds `text`."""
    deadline = time.monotonic() + LIMIT_S
    while text not in (printed := output.read_text()):
        assert run.poll() is None, f"it ended before it printed `{text}`:\n{printed}"
        assert time.monotonic() < deadline, f"no `{text}` within {LIMIT_S} s:\n{printed}"
        time.sleep(0.2)
    return printed


def answers_and_ends(folder: Path, environment: dict[str, str], tier: str) -> None:
    """It prints an answer of `tier`, refuses to share its port, and ends with everything that it started."""
    numbers = dict(zip(VARIABLES, ports.free(len(VARIABLES)), strict=True))
    environment |= {name: str(number) for name, number in numbers.items()}
    environment["STORE"] = f"embedded:{folder / tier}"
    output = folder / f"{tier}.log"
    run = start(environment, output)
    try:
        printed = wait_for("Gavel is up", run, output)
        assert f'"tier": "{tier}"' in printed, f"the answer is not from {tier}:\n{printed}"
        second = start(environment, folder / "second.log")
        refusal = wait_for_end(second, folder / "second.log", status=1)
        assert f"port {numbers['PORT']} is held by gavel (process " in refusal, refusal
        run.send_signal(signal.SIGTERM)
        wait_for_end(run, output, status=0)
    finally:
        run.kill()
        run.wait()
        shutil.rmtree(ROOT / ".cache" / "run" / str(numbers["PORT"]), ignore_errors=True)
    held = {name: ports.holder(number) for name, number in numbers.items() if not ports.is_free(number)}
    assert not held, f"something was left behind: {held}"
    left = list(Path("/dev/shm").glob(f"gavel_run_{run.pid}_*"))
    assert not left, f"shared memory was left behind: {left}"


def wait_for_end(run: subprocess.Popen[bytes], output: Path, status: int) -> str:
    """What it printed in all."""
    assert run.wait(timeout=60) == status, output.read_text()
    return output.read_text()


def main() -> None:
    """With Triton where this machine can run it, and without."""
    supported = subprocess.run([ROOT / "scripts" / "triton.sh", "supported"], capture_output=True, check=False)
    with tempfile.TemporaryDirectory() as folder:
        if supported.returncode == 0:
            answers_and_ends(Path(folder), {}, "primary")
        answers_and_ends(Path(folder), {"TRITON": "none"}, "secondary")
    print("make run answers, says who holds its port, and leaves nothing behind")


if __name__ == "__main__":
    main()
