"""`cardwatch demo`: everything on this machine, in separate processes that share nothing but broker, store and HTTP.

Broker and store are embedded; a month of simulated history is scored straight into the store and trains the first
model; then simulated cards pay live, thieves come as they do, and every alert is found by the scorer. A role that is
killed comes back; so does the store, with its data. The broker keeps its records in memory only: when it dies the demo
begins anew, and says so.
"""

import json
import os
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pipeline.demo.places import Places, environment
from pipeline.demo.progress import Progress
from pipeline.demo.words import Teller
from pipeline.embedded.broker import EmbeddedBroker, start_broker
from pipeline.embedded.process import Child, ChildFailed, start
from pipeline.embedded.store import EmbeddedStore
from pipeline.supervisor import LOOK_S, Kept, Supervisor

ROLES = ("scorer", "learner", "contact", "reminder", "archive", "desk")
READY_S = 30.0
"""Simulated traffic waits so long for the roles, then begins anyway: the supervisor goes on starting them."""
PROBE_S = 0.5
MOST_FALSE_STARTS = 3
"""A demo that gets no further than its preparation begins anew this often, then gives up."""
CARDWATCH = [sys.executable, "-m", "pipeline.cli"]


class DemoFailed(Exception):
    """The demo can't run here: a sentence for whoever started it, and the exit code."""

    def __init__(self, words: str, exit_code: int = 1) -> None:
        super().__init__(words)
        self.exit_code = exit_code


class _BeginAnew(Exception):
    """What this demo stood on is gone; the message says what."""


class Story(NamedTuple):
    """What is simulated: the name of a live preset, and its seed."""

    preset: str
    seed: int

    @property
    def words(self) -> list[str]:
        return ["--preset", self.preset, "--seed", str(self.seed)]


def roles(places: Places) -> Iterator[tuple[str, list[str]]]:
    """What to keep running beside broker and store, less the simulated world: name and command, in order."""
    yield "telephony", [
        sys.executable, "-m", "pipeline.lab.telephony",
        "--port", str(places.phone_port),
        "--state-dir", str(places.directory / "telephony"),
        "--callback-secret-file", str(places.directory / "callback_secret.secret"),
        "--api-key-file", str(places.directory / "voice_key.secret"),
        "--callback-url", f"http://127.0.0.1:{places.callback_port}/callbacks",
        "--behaviour", "interactive",
    ]  # fmt: skip
    for role in ROLES:
        yield role, [*CARDWATCH, "run", role]


class Demo:
    """One run of the demo, from an empty broker and store to its end."""

    def __init__(self, places: Places, story: Story, teller: Teller, ended: Callable[[], bool]) -> None:
        self._places = places
        self._story = story
        self._teller = teller
        self._ended = ended
        self._epoch = time.time()
        self._store = EmbeddedStore(places.directory / "store")
        self._broker: EmbeddedBroker | None = None
        self._preparing: Child | None = None
        self._supervisor = Supervisor(self._died)
        self._written: dict[str, int] = {}
        self.live = False

    def run(self) -> None:
        """Until ended. Raises `_BeginAnew` when the broker is gone, `DemoFailed` when the preparation can't be done."""
        directory = self._places.directory
        try:
            self._broker = start_broker(directory / "broker")
            self._store.start()
            values = environment(self._places, self._broker.bootstrap, self._store.url)
            self._teller.say("broker and store are up; a month of simulated payments is scored for the cards' habits")
            self._prepare(values)
            for name, command in roles(self._places):
                if not self._ended():
                    self._keep(name, command, values)
            self._wait(self._ready, READY_S)
            if not self._ended():
                truth = str(directory / "truth.jsonl")
                command = [*CARDWATCH, "simulate", *self._story.words, "--epoch", str(self._epoch), "--truth", truth]
                self._keep("simulate", command, values)
                self._teller.open(self._places)
                self.live = True
            self._wait(lambda: False)
        except ChildFailed as error:
            raise _BeginAnew(str(error)) from error
        finally:
            self._stop()

    def _prepare(self, values: Mapping[str, str]) -> None:
        told = self._places.directory / "progress.json"
        log = self._places.directory / "preparation.log"
        command = [
            sys.executable, "-m", "pipeline.demo.preparation", *self._story.words,
            "--epoch", str(self._epoch), "--progress", str(told),
        ]  # fmt: skip
        started = time.monotonic()
        preparing = self._preparing = start("preparation", command, log, values)

        def over() -> bool:
            self._teller.progress(Progress.read(told).share)
            return preparing.exit_code is not None

        self._wait(over, watch_store=False)
        self._teller.progress(None)
        if self._ended():
            return
        if self._store.child.exit_code is not None:
            raise _BeginAnew("the store ended before the cards were in it")
        done = Progress.read(told)
        if preparing.exit_code or not done.done:
            raise DemoFailed(preparing.tail().strip(), preparing.exit_code or 1)
        took = time.monotonic() - started
        self._teller.say(f"{done.transactions:,} payments of {done.cards:,} cards scored in {took:.0f} s")

    def _keep(self, name: str, command: list[str], values: Mapping[str, str]) -> None:
        port = self._places.metrics_ports.get(name)
        own = {} if port is None else {"CARDWATCH_METRICS_PORT": str(port)}
        self._supervisor.keep(Kept(name, command, self._places.directory / f"{name}.log", {**values, **own}))

    def _ready(self) -> bool:
        return all(_answers(f"http://127.0.0.1:{port}/readyz") for port in self._places.metrics_ports.values())

    def _wait(self, over: Callable[[], bool], most_s: float | None = None, *, watch_store: bool = True) -> None:
        """Look after everything until ``over``, or ``most_s`` has passed, or the demo is ended."""
        deadline = None if most_s is None else time.monotonic() + most_s
        while not self._ended() and not over():
            if deadline is not None and time.monotonic() > deadline:
                return
            assert self._broker is not None
            if self._broker.child.exit_code is not None:
                raise _BeginAnew("the broker ended, and its records with it")
            if self._store.child.exit_code is not None:
                if not watch_store:
                    return
                self._teller.say("the store ended: it is started again with its data")
                self._store.start()
            self._supervisor.look()
            self._write_pids()
            time.sleep(LOOK_S)

    def _died(self, name: str, exit_code: int) -> None:
        self._teller.say(f"{name} ended (exit code {exit_code}): it is started again")

    def _write_pids(self) -> None:
        """Who is who, for whoever wants to see a process killed: ``pids.json``."""
        assert self._broker is not None
        found = {"demo": os.getpid(), "broker": self._broker.child.pid, "store": self._store.child.pid}
        found |= {kept.name: kept.child.pid for kept in self._supervisor.programs if kept.child is not None}
        if self._preparing is not None and self._preparing.exit_code is None:
            found["preparation"] = self._preparing.pid
        if found != self._written:
            unfinished = self._places.directory / "pids.new"
            unfinished.write_text(json.dumps(found))
            unfinished.replace(self._places.directory / "pids.json")
            self._written = found

    def _stop(self) -> None:
        """Roles first: they leave their last checkpoints in the store, and their last records with the broker."""
        self._supervisor.stop()
        if self._preparing is not None:
            self._preparing.stop()
        if self._broker is not None:
            self._broker.stop()
        self._store.stop()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=PROBE_S) as answer:  # noqa: S310  # an address of our own making
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def run_demo(story: Story, desk_port: int, ended: Callable[[], bool]) -> None:
    """Run demos, each in a fresh directory, until ``ended``. Raises `DemoFailed`."""
    teller = Teller(sys.stdout)
    try:
        places = Places.free(desk_port)
    except OSError as error:
        raise DemoFailed(
            f"port {desk_port} of 127.0.0.1 is in use ({error.strerror}): end what uses it, or choose another with --port",
            2,
        ) from error
    false_starts = 0
    while not ended():
        with tempfile.TemporaryDirectory(prefix="cardwatch-demo-", ignore_cleanup_errors=True) as directory:
            demo = Demo(places.within(Path(directory)), story, teller, ended)
            try:
                demo.run()
            except _BeginAnew as reason:
                teller.progress(None)
                false_starts = 0 if demo.live else false_starts + 1
                if false_starts == MOST_FALSE_STARTS:
                    raise DemoFailed(f"the demo could not begin, {false_starts} times: {reason}") from reason
                teller.say(f"{reason}: the demo begins anew")
    teller.say("everything has ended")
