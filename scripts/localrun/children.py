"""Processes that end with this one, whatever ends it.

Each child has a process group of its own, so that Ctrl-C reaches this program alone and it ends the others in
order. A signal only sets a flag, which every wait looks at: there is no moment at which a child has started and
is not known yet. On Linux the kernel ends the children if this program is killed outright.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

POLL_S = 0.05
PR_SET_PDEATHSIG = 1


class Stopped(Exception):
    """A signal asked this program to end."""


class Failed(Exception):
    """Something that the person who runs this must know, in one sentence."""


class Child:
    """One process and where its output goes."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path | None, grace_s: float) -> None:
        """Take over `process`; `end` waits `grace_s` seconds before it kills."""
        self.name = name
        self.process = process
        self.log = log
        self.grace_s = grace_s

    @property
    def pid(self) -> int:
        """The process id of the program itself."""
        return self.process.pid

    def ended(self) -> bool:
        """Whether the program is gone."""
        return self.process.poll() is not None

    def outcome(self) -> str:
        """How it ended, in words."""
        code = self.process.returncode
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"

    def last_lines(self, count: int = 15) -> str:
        """The end of its log."""
        text = self.log.read_text(errors="replace") if self.log else ""
        return "\n".join(f"    {line}" for line in text.splitlines()[-count:])

    def end(self, hurry: Callable[[], bool]) -> None:
        """Ask it to end, wait, kill what is left of its group."""
        deadline = time.monotonic() + self.grace_s
        if not self.ended():
            self.process.send_signal(signal.SIGCONT)  # a frozen process hears nothing else
            self.process.terminate()
        while not self.ended() and time.monotonic() < deadline and not hurry():
            time.sleep(POLL_S)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # where nothing of the group is left
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


class Children:
    """All processes that this program started; a context manager that ends them, the youngest first."""

    def __init__(self) -> None:
        """Take over SIGINT, SIGTERM and SIGHUP."""
        self._running: list[Child] = []
        self._asked_to_end = False
        self._interrupts = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._asked_to_end = True
        self._interrupts += number == signal.SIGINT

    def __enter__(self) -> "Children":
        """Nothing runs yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End everything. Another Ctrl-C meanwhile kills instead of asking."""
        interrupts = self._interrupts
        while self._running:
            self._running.pop().end(hurry=lambda: self._interrupts > interrupts)

    def check(self) -> None:
        """Raise `Stopped` if a signal came."""
        if self._asked_to_end:
            raise Stopped

    def sleep(self, seconds: float) -> None:
        """Wait, unless a signal comes."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.check()
            time.sleep(min(POLL_S, left))
        self.check()

    def start(self, name: str, command: Sequence[str | Path], log: Path | None = None, grace_s: float = 10) -> Child:
        """Start a program in the background; its output goes to `log`, or to the terminal."""
        self.check()
        output = log.open("wb") if log else None
        try:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
        except FileNotFoundError as error:
            raise Failed(f"{name} is not here: {error.filename}") from error
        finally:
            if output:
                output.close()
        child = Child(name, process, log, grace_s)
        self._running.append(child)
        return child

    def run(self, name: str, command: Sequence[str | Path], grace_s: float = 5) -> None:
        """Run a program to its end, its output on the terminal; `Failed` if it does not succeed."""
        child = self.start(name, command, grace_s=grace_s)
        while not child.ended():
            self.sleep(POLL_S)
        self.forget(child)
        if child.process.returncode != 0:
            raise Failed(f"{name} {child.outcome()}; what it said is above")

    def forget(self, child: Child) -> None:
        """Clean up after a child that is gone."""
        self._running.remove(child)
        child.end(hurry=lambda: True)


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
