"""What the parts of the benchmark share: folders, servers on free ports, the loader, and records of what was found."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from localrun import ports, probe
from localrun.children import Child, Children, Failed

ROOT = Path(__file__).resolve().parent.parent.parent
START_LIMIT_S = 60
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Stage:
    """One run of the benchmark: its programs, its folder, its records."""

    def __init__(self, children: Children, programs: Path, folder: Path, records: Path) -> None:
        """Nothing is started. `programs` holds `gavel` and `loadtest`; `records` is written anew."""
        self.children = children
        self.gavel = programs / "gavel"
        self.loader = programs / "loadtest"
        self.folder = folder
        self.path = records
        self.records: list[dict] = []
        self.path.write_text("")
        for name in [name for name in os.environ if name.startswith("GAVEL_")]:
            del os.environ[name]  # what a shell says is not what is measured

    def add(self, record: dict) -> None:
        """Keep a record, in the file at once."""
        self.records.append(record)
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def take(self, file: Path) -> None:
        """Keep the records of a file."""
        for line in file.read_text().splitlines():
            self.add(json.loads(line))

    def fresh(self, name: str) -> Path:
        """An empty folder."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    @contextlib.contextmanager
    def started(self, name: str, command: Sequence[str | Path]) -> Iterator[Child]:
        """A server for as long as the block runs."""
        child = self.children.start(name, command, self.folder / f"{name}.log")
        try:
            yield child
        finally:
            child.end(hurry=lambda: False)
            self.children.forget(child)

    @contextlib.contextmanager
    def redis(self, core: int | None = None) -> Iterator["Redis"]:
        """An empty Redis that keeps nothing on disk, on one core or on any."""
        [port] = ports.free(1)
        command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with self.started("redis-server", [*on_core(core), *command, "--dir", self.folder]) as child:
            self.wait(child, lambda: not ports.is_free(port))
            yield Redis(child, port)

    @contextlib.contextmanager
    def gateway(self, name: str, store: str, decisions: Path, cache: bool, log: Path | None) -> Iterator["Gateway"]:
        """A gateway without Triton, with the cache that it has by default or none, and a decision log or none."""
        port, admin = ports.free(2)
        folder = self.fresh(name)
        library = subprocess.run(
            [ROOT / "scripts" / "triton.sh", "onnxruntime"], capture_output=True, text=True, check=False
        )
        if library.returncode != 0:
            raise Failed(f"ONNX Runtime is not here: {library.stderr.strip()}")
        config = folder / "gavel.toml"
        config.write_text(f"""[server]
listen = "127.0.0.1:{port}"
admin_listen = "127.0.0.1:{admin}"
[triton]
endpoints = []
[store]
url = "{store}"
{"" if cache else "cache = { bytes = 0 }"}
[decisions]
directory = "{decisions}"
[models]
repository = "{ROOT / "model_repository"}"
config_name = "cpu"
onnxruntime = "{library.stdout.strip()}"
[decision_log]
directory = "{log or ""}"
""")
        with self.started(name, [self.gavel, "serve", "--config", config]) as child:
            gateway = Gateway(child, port, f"http://127.0.0.1:{admin}")
            self.wait(child, lambda: probe.is_ok(f"{gateway.admin_url}/readyz"))
            yield gateway

    def wait(self, child: Child, ready: Callable[[], bool]) -> None:
        """Until a server is ready; `Failed`, with the end of its log, if it ends or takes too long."""
        limit = time.monotonic() + START_LIMIT_S
        while not ready():
            if child.ended() or time.monotonic() > limit:
                raise Failed(f"{child.name} is not ready:\n{child.last_lines()}")
            self.children.sleep(0.05)

    def load(
        self, gateway: "Gateway", redis: "Redis", tier: str, rate: int, seconds: float, asked: Path | None
    ) -> dict:
        """An open loop on a gateway; the loader's record. `asked` is a file of questions, the examples without one."""
        command = [self.loader, "run", "--address", f"127.0.0.1:{gateway.port}", "--open", rate, "--tier", tier]
        command += ["--gateway", gateway.child.pid, "--store", redis.child.pid]
        command += ["--warm-up", "1s", "--measured", f"{seconds}s"]
        command += ["--questions", asked] if asked else []
        log = self.folder / "loader.log"
        loader = self.children.start("the loader", command, log)
        while not loader.ended():
            self.children.sleep(0.05)
        self.children.forget(loader)
        lines = [line for line in log.read_text().splitlines() if line.startswith("{")]
        if loader.process.returncode != 0 or not lines:
            raise Failed(f"the loader {loader.outcome()}:\n{loader.last_lines()}")
        return json.loads(lines[-1])


class Gateway:
    """A gateway that serves."""

    def __init__(self, child: Child, port: int, admin_url: str) -> None:
        """Take over `child`."""
        self.child = child
        self.port = port
        self.admin_url = admin_url

    def metric(self, line_start: str) -> float:
        """A metric's value, by how its line begins; 0 where it is not there yet."""
        answer = probe.ask(f"{self.admin_url}/metrics")
        if answer is None:
            raise Failed(f"{self.child.name} does not tell its metrics:\n{self.child.last_lines()}")
        lines = answer[1].decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(line_start))


class Redis:
    """A Redis that runs."""

    def __init__(self, child: Child, port: int) -> None:
        """Take over `child`."""
        self.child = child
        self.port = port
        self.url = f"redis://127.0.0.1:{port}"

    def call(self, *commands: Sequence[str]) -> list[bytes]:
        """Commands, written at once, and their one-line or bulk answers."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection, connection.makefile("rb") as answers:
            for command in commands:
                words = [word.encode() for word in command]
                encoded = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
                connection.sendall(b"*%d\r\n%b" % (len(words), encoded))
            return [self._answer(answers.readline(), answers) for _ in commands]

    def _answer(self, line: bytes, answers: BinaryIO) -> bytes:
        if line.startswith(b"-"):
            raise Failed(f"Redis: {line.decode().strip()}")
        if line.startswith(b"$"):
            return answers.read(int(line[1:]) + 2)[:-2]
        return line[1:-2]

    def used_bytes(self) -> int:
        """Memory that its data takes."""
        lines = self.call(["INFO", "memory"])[0].decode().splitlines()
        return next(int(line.partition(":")[2]) for line in lines if line.startswith("used_memory:"))


def on_core(core: int | None) -> list[str]:
    """What a command begins with so that it runs on that core alone."""
    return [] if core is None else ["taskset", "-c", str(core)]


def cpu_s(pid: int) -> float:
    """CPU time that a process has used; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def most_resident_bytes(pid: int) -> int:
    """The most memory that a process has had; 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def say(text: str) -> None:
    """One line about what goes on."""
    print(f"bench-features: {text}", flush=True)
