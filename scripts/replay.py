"""Decisions on a real Triton, and a replay of their log to the bit. Called by `make replay`.

Everything has ports and folders of its own, so that it can run beside `make run`. In the environment, all optional:
  COUNT=10000           how many decisions
  TRITON=none           no Triton: the tiers in process answer
  PROFILE=dev           builds faster, answers slower (default: release)
It ends with 0 if every decision came out again with the same bits.
"""

import collections
import http.client
import itertools
import json
import os
import random
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from localrun import ports
from localrun.children import Children, Failed, Stopped
from run import EXAMPLE, ROOT, Run, remove_shared_memory

CLIENTS = 16
# What callers allow: plenty, time for a model in process alone, time for rules alone.
BUDGETS_MS = (95, 95, 95, 60, 4, 0.05)
SEED = 20190831


class Replay(Run):
    """One run, from an empty store to the replay's verdict."""

    def __init__(self, children: Children, count: int) -> None:
        """Nothing is shared with any other run."""
        super().__init__(children)
        self.count = count
        self.logs = ROOT / ".cache" / "replay"
        shutil.rmtree(self.logs, ignore_errors=True)
        self.logs.mkdir(parents=True)
        self.store = f"embedded:{self.logs / 'features'}"
        self.port, self.admin_port, *triton = ports.free(5)
        if self.owns_triton:
            self.triton_ports = dict(zip(self.triton_ports, triton, strict=True))
            self.triton_url = f"http://127.0.0.1:{self.triton_ports['TRITON_GRPC_PORT']}"

    def gavel_command(self, *command: str) -> list[Any]:
        """With a decision log of its own."""
        return [*super().gavel_command(*command), "--decision-log", str(self.logs / "decisions")]

    def main(self) -> None:
        """Decide, stop, replay."""
        self.settle_triton()
        self.build()
        if self.owns_triton:
            self.start_triton()
        self.ingest_payments()
        gavel = self.start_gavel()
        if self.triton_url:
            self.wait_for_primary()
        print(f"replay: {self.count} decisions by {CLIENTS} clients", flush=True)
        print(f"replay: answered by {dict(self.decide())}", flush=True)
        gavel.end(hurry=lambda: False)
        self.children.forget(gavel)
        self.children.run("gavel log ls", self.gavel_command("log", "ls"))
        self.children.run("gavel replay", self.gavel_command("replay", "--budgets"))

    def decide(self) -> collections.Counter[str]:
        """Answers by tier."""
        with ThreadPoolExecutor(CLIENTS) as clients:
            return sum(clients.map(self.ask, self.batches()), collections.Counter())

    def batches(self) -> Iterator[list[dict]]:
        """The questions by hundreds."""
        questions = self.questions()
        while batch := list(itertools.islice(questions, 100)):
            yield batch

    def ask(self, questions: list[dict]) -> collections.Counter[str]:
        """One after another over one connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        tiers: collections.Counter[str] = collections.Counter()
        for question in questions:
            self.children.check()
            connection.request("POST", "/v1/decide", json.dumps(question), {"content-type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
            if response.status != http.HTTPStatus.OK:
                raise Failed(f"a decision was refused with {response.status}: {answer}")
            tiers[answer["tier"]] += 1
        connection.close()
        return tiers

    def questions(self) -> Iterator[dict]:
        """Payments of known and unknown cards and stores, the same in every run."""
        chance = random.Random(SEED)
        known = [json.loads(line) for line in (ROOT / "examples" / "payments.jsonl").read_text().splitlines()]
        cards = [payment["card_id"] for payment in known]
        stores = [payment["store_id"] for payment in known]
        example = json.loads(EXAMPLE.read_text())
        for number in range(self.count):
            inputs = example["inputs"] | {"amount": round(chance.lognormvariate(4, 1.5), 2)}
            if chance.random() < 0.2:
                inputs.pop("timestamp")
            yield example | {
                "id": f"r{number}",
                "entities": {
                    "card_id": chance.choice([*cards, "unknown"]),
                    "store_id": chance.choice([*stores, "unknown"]),
                },
                "inputs": inputs,
                "budget_ms": chance.choice(BUDGETS_MS),
            }


def run() -> int:
    """The exit status."""
    os.chdir(ROOT)
    count = os.environ.get("COUNT") or "10000"
    try:
        if not count.isdecimal():
            raise Failed(f"COUNT is `{count}`, expected a number of decisions")
        with Children() as children:
            Replay(children, int(count)).main()
    except Stopped:
        return 130
    except Failed as failure:
        print(f"replay: {failure}", file=sys.stderr)
        return 1
    finally:
        remove_shared_memory()
    return 0


if __name__ == "__main__":
    sys.exit(run())
