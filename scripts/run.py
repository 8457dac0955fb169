"""Gavel in front of a real Triton on this machine, until Ctrl-C. Called by `make run`.

Everything that it starts ends with it. What it listens to, all optional, in the environment or after `make run`:
  STORE=redis://…            the online store (default: embedded:data/features)
  TRITON=none                no Triton: the tiers in process answer
  TRITON=http://HOST:8001    a Triton that runs already
  PORT, ADMIN_PORT           Gavel's ports (8080, 9090)
  TRITON_GRPC_PORT, TRITON_HTTP_PORT, TRITON_METRICS_PORT   Triton's (8001, 8000, 8002)
  PROFILE=dev                builds faster, answers slower (default: release)
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from localrun import ports, probe, tour, wire
from localrun.children import Child, Children, Failed, Stopped

ROOT = Path(__file__).resolve().parent.parent
TRITON_SCRIPT = ROOT / "scripts" / "triton.sh"
EXAMPLE = ROOT / "examples" / "fraud.json"
DECISION, PRIMARY = "fraud", "primary"
MODELS_LIMIT_S = 180
START_LIMIT_S = 60
# A Triton that dies sooner than this after its start is not started again.
RESTART_AFTER_S = 30


class Run:
    """One run: what was asked for, and what has been started."""

    def __init__(self, children: Children) -> None:
        """Read the environment; `Failed` where a port is no number."""
        self.children = children
        self.store = os.environ.get("STORE") or "embedded:data/features"
        self.port = port("PORT", 8080)
        self.admin_port = port("ADMIN_PORT", 9090)
        self.triton_ports = {
            "TRITON_GRPC_PORT": port("TRITON_GRPC_PORT", 8001),
            "TRITON_HTTP_PORT": port("TRITON_HTTP_PORT", 8000),
            "TRITON_METRICS_PORT": port("TRITON_METRICS_PORT", 8002),
        }
        self.logs = ROOT / ".cache" / "run" / str(self.port)
        self.profile = os.environ.get("PROFILE") or "release"
        self.triton_url = os.environ.get("TRITON") or f"http://127.0.0.1:{self.triton_ports['TRITON_GRPC_PORT']}"
        self.owns_triton = not os.environ.get("TRITON")
        self.triton: Child | None = None
        self.triton_began = 0.0

    @property
    def gavel_url(self) -> str:
        """The public port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_url(self) -> str:
        """The admin port."""
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def binary(self) -> Path:
        """The program that the build makes."""
        target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
        return target / ("debug" if self.profile == "dev" else self.profile) / "gavel"

    def main(self) -> None:
        """From nothing to an answer, and on until a signal comes."""
        self.settle_triton()
        self.require_ports()
        self.build()
        self.logs.mkdir(parents=True, exist_ok=True)
        if self.owns_triton:
            self.start_triton()
        self.ingest_payments()
        gavel = self.start_gavel()
        if self.triton_url:
            self.wait_for_primary()
        self.show_answer()
        tour.show(self.gavel_url, self.admin_url, self.triton.pid if self.triton else None, shown(self.logs))
        self.stay_up(gavel)

    def settle_triton(self) -> None:
        """Decide whether there will be a Triton, and say so where there will not."""
        if self.triton_url == "none":
            self.without_triton("TRITON=none")
        elif self.owns_triton:
            supported = subprocess.run([TRITON_SCRIPT, "supported"], capture_output=True, text=True, check=False)
            if supported.returncode != 0:
                self.without_triton(supported.stderr.strip().removeprefix("triton: "))

    def without_triton(self, why: str) -> None:
        """Serve from the tiers in process alone."""
        self.owns_triton, self.triton_url = False, ""
        say(f"no Triton ({why}): the tiers in process answer, and answers say `degraded`")

    def require_ports(self) -> None:
        """Say which port is taken, by whom, and what to set, before anything is built."""
        wanted = {"PORT": self.port, "ADMIN_PORT": self.admin_port} | (self.triton_ports if self.owns_triton else {})
        for variable, number in wanted.items():
            if not ports.is_free(number):
                other = number + 100
                raise Failed(
                    f"port {number} is held by {ports.holder(number)}: stop it, or choose another port, "
                    f"e.g. `make run {variable}={other}`"
                )
        if len(set(wanted.values())) < len(wanted):
            raise Failed(f"two of these are the same port: {', '.join(f'{k}={v}' for k, v in wanted.items())}")

    def build(self) -> None:
        """The gateway, and the parts that come from the package index."""
        if not shutil.which("cargo"):
            raise Failed("cargo is not on PATH: install Rust (rustup), then run the same command again")
        say(f"building gavel ({self.profile}; minutes the first time, then a second)")
        cargo = ["cargo", "build", "--locked", "--profile", self.profile, "--package", "gateway", "--bin", "gavel"]
        self.children.run("the build", cargo)
        self.children.run("scripts/triton.sh fetch", [TRITON_SCRIPT, "fetch"])

    def start_triton(self) -> None:
        """Start tritonserver; its models load meanwhile."""
        flags = []
        for variable, flag in zip(self.triton_ports, ("--grpc-port", "--http-port", "--metrics-port"), strict=True):
            flags += [flag, str(self.triton_ports[variable])]
        # A name of our own for its shared memory, so that what a kill leaves behind can be told from another's.
        own = ["--", f"--backend-config=python,shm-region-prefix-name={shm_prefix()}"]
        command = [TRITON_SCRIPT, "serve", *flags, "--config-name", "cpu", *own]
        self.triton = self.children.start("Triton", command, self.logs / "triton.log", grace_s=20)
        self.triton_began = time.monotonic()

    def gavel_command(self, *command: str) -> list[str | Path]:
        """`gavel`, told everything that this run decides."""
        library = subprocess.run([TRITON_SCRIPT, "onnxruntime"], capture_output=True, text=True, check=False)
        settings = ["--store", self.store, "--triton", self.triton_url, "--model-config-name", "cpu"]
        settings += ["--listen", f"127.0.0.1:{self.port}", "--admin-listen", f"127.0.0.1:{self.admin_port}"]
        if library.returncode == 0:
            settings += ["--onnxruntime", library.stdout.strip()]
        return [self.binary, *command, *settings]

    def ingest_payments(self) -> None:
        """The examples' payments, counted once however often this runs; before the gateway opens the store: an
        embedded one has one user at a time."""
        self.children.run(
            "counting the payments", self.gavel_command("ingest", "--file=examples/payments.jsonl=payment")
        )

    def start_gavel(self) -> Child:
        """Start the gateway and wait until it serves."""
        gavel = self.children.start("gavel", self.gavel_command("serve"), self.logs / "gavel.log", grace_s=35)

        def serves() -> bool:
            self.require_running(gavel)
            return probe.is_ok(f"{self.admin_url}/readyz")

        if not probe.wait("waiting for gavel", serves, self.children.sleep, START_LIMIT_S):
            raise Failed(f"gavel is not ready after {START_LIMIT_S} s:\n{gavel.last_lines()}")
        return gavel

    def wait_for_primary(self) -> None:
        """Wait until the first tier can answer; without it, go on and say why."""
        why = "the gateway did not say why"

        def ready() -> bool:
            nonlocal why
            self.require_running(self.triton)
            tier = primary_tier(probe.ask_json(f"{self.admin_url}/admin/decisions"))
            why = tier.get("why") or why
            return bool(tier.get("ready"))

        what = "waiting for Triton to load its models"
        if not probe.wait(what, ready, self.children.sleep, MODELS_LIMIT_S):
            say(f"{PRIMARY} is not ready ({why}): the tiers below it answer meanwhile")

    def require_running(self, child: Child | None) -> None:
        """`Failed`, with the end of its log, if a server ended by itself."""
        if child and child.ended():
            raise Failed(f"{child.name} {child.outcome()}:\n{child.last_lines()}")

    def show_answer(self) -> None:
        """Ask the example question and print the answer."""
        question = EXAMPLE.read_bytes()
        asked = json.loads(question)
        (self.logs / "fraud.pb").write_bytes(wire.protobuf(asked))
        (self.logs / "fraud.grpc.json").write_text(wire.grpc_json(asked))
        answer = probe.ask(f"{self.gavel_url}/v1/decide", question)
        if answer is None:
            raise Failed(f"{self.gavel_url} did not answer; its log is {shown(self.logs / 'gavel.log')}")
        status, body = answer
        print(f"\nPOST {self.gavel_url}/v1/decide  <  {shown(EXAMPLE)}\n{status}\n{pretty(body)}\n")

    def stay_up(self, gavel: Child) -> None:
        """Until a signal; a Triton that is killed is started again."""
        while True:
            self.children.sleep(0.5)
            self.require_running(gavel)
            if self.triton and self.triton.ended():
                self.restart_triton(self.triton)

    def restart_triton(self, ended: Child) -> None:
        """Start Triton again, unless it cannot live."""
        self.children.forget(ended)
        remove_shared_memory()
        if time.monotonic() - self.triton_began < RESTART_AFTER_S:
            say(f"Triton {ended.outcome()} right after its start and is not started again:\n{ended.last_lines()}")
            self.triton = None
            return
        self.start_triton()
        say(f"Triton {ended.outcome()}; started again as process {self.triton.pid if self.triton else '?'}")


def primary_tier(admin: dict | None) -> dict:
    """What the admin port says about the first tier of the example's decision."""
    for decision in (admin or {}).get("decisions", []):
        if decision["decision"] == DECISION:
            return next((tier for tier in decision["tiers"] if tier["tier"] == PRIMARY), {})
    return {}


def pretty(body: bytes) -> str:
    """JSON indented; anything else as it came."""
    try:
        return json.dumps(json.loads(body), indent=2)
    except ValueError:
        return body.decode(errors="replace")


def port(variable: str, default: int) -> int:
    """A port from the environment."""
    text = os.environ.get(variable) or str(default)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise Failed(f"{variable} is `{text}`, expected a port number from 1 to 65535")
    return int(text)


def shm_prefix() -> str:
    """The name of this run's shared memory."""
    return f"gavel_run_{os.getpid()}_"


def remove_shared_memory() -> None:
    """What a killed Triton left behind; one that ended in peace leaves nothing."""
    for region in Path("/dev/shm").glob(f"{shm_prefix()}*"):
        region.unlink(missing_ok=True)


def shown(path: Path) -> str:
    """A path as it is typed in the repository's root."""
    return str(path.relative_to(ROOT))


def say(text: str) -> None:
    """One line about what goes on."""
    print(f"run: {text}", flush=True)


def run() -> int:
    """The exit status: 0 after a signal, 1 after a failure."""
    os.chdir(ROOT)
    status = 0
    try:
        with Children() as children:
            try:
                Run(children).main()
            except Stopped:
                say("stopping everything (a few seconds; Ctrl-C again kills)")
            except Failed as failure:
                say(str(failure))
                status = 1
    finally:
        remove_shared_memory()
    if status == 0:
        say("stopped")
    return status


if __name__ == "__main__":
    sys.exit(run())
