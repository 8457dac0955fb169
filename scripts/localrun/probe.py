"""Asking servers over HTTP, and waiting for what they become, with the seconds shown."""

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from types import TracebackType
from typing import Any

# No proxy: everything asked is on this machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(url: str, body: bytes | None = None, timeout_s: float = 2) -> tuple[int, bytes] | None:
    """The status and body of a GET, or a POST of JSON; None when nobody answers."""
    headers = {"content-type": "application/json"} if body is not None else {}
    try:
        with _OPENER.open(urllib.request.Request(url, body, headers), timeout=timeout_s) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except (OSError, ValueError):
        return None


def is_ok(url: str) -> bool:
    """Whether a GET is answered with 200."""
    answer = ask(url)
    return answer is not None and answer[0] == 200


def ask_json(url: str) -> Any:  # noqa: ANN401 - JSON is any
    """The JSON that a GET is answered with; None when it is not answered well."""
    answer = ask(url)
    return json.loads(answer[1]) if answer and answer[0] == 200 else None


class Waiting:
    """One line that says what is awaited and for how long, rewritten on a terminal."""

    def __init__(self, what: str) -> None:
        """Nothing is shown before the first `show`."""
        self.what = what
        self._began = time.monotonic()
        self._shown_at = float("-inf")

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    def __enter__(self) -> "Waiting":
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        """Say how long it took."""
        start = "\r" if sys.stdout.isatty() else ""
        print(f"{start}{self.what}: {'stopped' if kind else 'done'} after {self.seconds:.1f} s   ", flush=True)

    def show(self) -> None:
        """Show the seconds: twice each on a terminal, every ten in a file."""
        if time.monotonic() - self._shown_at < (0.5 if sys.stdout.isatty() else 10):
            return
        self._shown_at = time.monotonic()
        if sys.stdout.isatty():
            print(f"\r{self.what}: {self.seconds:.0f} s ", end="", flush=True)
        else:
            print(f"{self.what}: {self.seconds:.0f} s", flush=True)


def wait(what: str, done: Callable[[], bool], pause: Callable[[float], None], limit_s: float) -> bool:
    """Wait until `done`, or until `limit_s` seconds are over: then False."""
    with Waiting(what) as waiting:
        while not done():
            if waiting.seconds > limit_s:
                return False
            waiting.show()
            pause(0.1)
    return True
