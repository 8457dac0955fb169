"""Holds the running gateway to the OpenAPI document that it serves, with schemathesis.

Usage: run.py GAVEL SCHEMATHESIS [schemathesis arguments]

The gateway runs without Triton: what a tier answers is the same contract, and what is tested here is every way in
which a question can be right or wrong. It must also survive all of it and log no panic.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
sys.path.insert(0, str(ROOT / "scripts"))

from localrun import ports, probe  # noqa: E402 - found through the line above
from localrun.children import Child, Children, Failed, Stopped  # noqa: E402

START_LIMIT_S = 60
EXAMPLES = 200
SEED = 20241124


def start(children: Children, gavel: Path, folder: Path) -> tuple[Child, str]:
    """A gateway on free ports with the example features, and the URL of its public port."""
    public, admin = ports.free(2)
    library = subprocess.run(
        [ROOT / "scripts" / "triton.sh", "onnxruntime"], capture_output=True, text=True, check=False
    )
    if library.returncode != 0:
        raise Failed(f"{library.stderr.strip()} (`make test-deps` does)")
    settings = ["--config", write_config(folder), "--store", f"embedded:{folder / 'features'}", "--triton", ""]
    settings += ["--onnxruntime", library.stdout.strip()]
    settings += ["--decisions", ROOT / "decisions", "--model-repository", ROOT / "model_repository"]
    settings += ["--listen", f"127.0.0.1:{public}", "--admin-listen", f"127.0.0.1:{admin}"]
    payments = f"--file={ROOT / 'examples' / 'payments.jsonl'}=payment"
    letters = f"--dead-letter={folder / 'dead-letters.jsonl'}"
    children.run("counting the payments", [gavel, "ingest", payments, letters, *settings])
    server = children.start("gavel", [gavel, "serve", *settings], folder / "gavel.log", grace_s=35)

    def serves() -> bool:
        if server.ended():
            raise Failed(f"gavel {server.outcome()}:\n{server.last_lines()}")
        return probe.is_ok(f"http://127.0.0.1:{admin}/readyz")

    if not probe.wait("waiting for gavel", serves, children.sleep, START_LIMIT_S):
        raise Failed(f"gavel is not ready after {START_LIMIT_S} s:\n{server.last_lines()}")
    return server, f"http://127.0.0.1:{public}"


def write_config(folder: Path) -> Path:
    """An empty configuration: the defaults, whatever gavel.toml says."""
    config = folder / "gavel.toml"
    config.touch()
    return config


def check(children: Children, gavel: Path, schemathesis: Path, extra: list[str], folder: Path) -> None:
    """Run schemathesis; `Failed` if it found anything or the gateway did not bear it."""
    server, url = start(children, gavel, folder)
    fixed = ["--checks", "all", "--max-examples", str(EXAMPLES), "--seed", str(SEED)]
    children.run("schemathesis", [schemathesis, "run", f"{url}/openapi.json", "--url", url, *fixed, *extra])
    if server.ended():
        raise Failed(f"gavel {server.outcome()}:\n{server.last_lines()}")
    panics = [line for line in (folder / "gavel.log").read_text().splitlines() if "panicked" in line]
    if panics:
        raise Failed(f"the gateway panicked: {panics[0]}")


def main() -> int:
    """The exit status."""
    gavel, schemathesis, *extra = sys.argv[1:]
    programs = Path(gavel).absolute(), Path(schemathesis).absolute()
    with tempfile.TemporaryDirectory() as folder, Children() as children:
        os.chdir(folder)  # schemathesis keeps notes in the folder that it runs in
        try:
            check(children, *programs, extra, Path(folder))
        except Stopped:
            return 130
        except Failed as failure:
            print(f"contract: {failure}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
