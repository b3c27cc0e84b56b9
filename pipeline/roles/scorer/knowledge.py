"""What a scorer knows beside the cards: the policy, the model, the exchange rates — and how it learns of new ones.

A poll takes `Knowledge.current` once, so all its transactions are decided under the same versions. A policy file that
does not parse, or a snapshot that is not genuine, is refused with its reason; the running one stays.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

import structlog

from models.calibrate import PriorCurve
from models.scorer import Model
from models.snapshot import SnapshotRefused, open_sealed
from pipeline.core.currencies import Money
from pipeline.core.features import LAYOUT, MODEL_FEATURES
from pipeline.core.policy import Policy, PolicyError
from pipeline.core.poll import Versions
from pipeline.core.topics import MODEL_KEY
from pipeline.ports import Reader

POLICY_LOOK_S = 0.5
CONTROL_POLL_S = 0.5
CONTROL_RETRY_S = 2.0

log = structlog.get_logger()


class PolicySource(Protocol):
    """Where the policy text comes from."""

    def changed(self) -> bool:
        """Whether there is something new since the last `read`."""

    def read(self) -> tuple[str, str]:
        """Text and name (for error messages). May raise OSError."""


class Knowledge:
    """Policy, model and money in force now."""

    def __init__(
        self,
        policy: Policy,
        money: Money,
        curve: PriorCurve,
        snapshot_key: bytes | None,
        parse: Callable[[str, str], Policy],
    ) -> None:
        self._curve = curve
        self._key = snapshot_key
        self._parse = parse
        self._epoch = -1
        self.current = Versions(policy, Model.day_one(MODEL_FEATURES, LAYOUT, curve), money)

    def reload(self, source: PolicySource) -> bool:
        """Take the policy from ``source``; False, and the old one stays, when it is wrong."""
        try:
            policy = self._parse(*source.read())
        except (PolicyError, OSError, UnicodeError) as error:
            log.error("policy refused, the running one stays", reason=str(error), running=self.current.policy.version)
            return False
        if policy.version != self.current.policy.version:
            self.current = self.current._replace(policy=policy)
            log.info("policy in force", version=policy.version, rules=len(policy.rules))
        return True

    async def follow_policy(self, source: PolicySource, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if source.changed():
                self.reload(source)
            await asyncio.sleep(POLICY_LOOK_S)

    def take_model(self, sealed: bytes) -> bool:
        """Use a sealed snapshot from `control`; False when it is refused."""
        if self._key is None:
            log.warning("a model was published, but CARDWATCH_SNAPSHOT_KEY is not set: it cannot be checked")
            return False
        try:
            snapshot = open_sealed(sealed, self._key)
            if snapshot.layout != LAYOUT or tuple(snapshot.names) != MODEL_FEATURES:
                raise SnapshotRefused(f"made for features {snapshot.layout}, this scorer has {LAYOUT}")
            if snapshot.epoch < self._epoch:
                raise SnapshotRefused(f"learner epoch {snapshot.epoch} is over: {self._epoch} is in force")
        except SnapshotRefused as error:
            log.error("model refused, the running one stays", reason=str(error), running=self.current.model.version)
            return False
        self._epoch = snapshot.epoch
        model = Model.trained(snapshot, self._curve)
        if model.version != self.current.model.version:
            self.current = self.current._replace(model=model)
            log.info("model in force", version=model.version, learned=snapshot.learned)
        return True

    async def follow_control(
        self, open_reader: Callable[[], Reader], caught_up: asyncio.Event, stop: asyncio.Event
    ) -> None:
        """Take every model published; ``caught_up`` is set when what was there at the start has been read. When the
        topic can't be read the running model stays, and reading begins again."""
        while not stop.is_set():
            reader = open_reader()
            try:
                await self._read_control(reader, caught_up, stop)
            except Exception as error:  # the port names no errors of its own, and a scorer outlives any of its broker's
                log.warning("the control topic can't be read: the running model stays", error=repr(error))
                await asyncio.sleep(CONTROL_RETRY_S)
            finally:
                with contextlib.suppress(Exception):  # the connection may be gone already
                    await reader.stop()

    async def _read_control(self, reader: Reader, caught_up: asyncio.Event, stop: asyncio.Event) -> None:
        await reader.start()
        ends = await reader.ends()
        reached = dict.fromkeys(ends, 0)
        while not stop.is_set():
            if not caught_up.is_set() and all(reached[number] >= end for number, end in ends.items()):
                caught_up.set()
            for number, records in (await reader.poll(CONTROL_POLL_S)).items():
                for record in records:
                    reached[number] = record.offset + 1
                    if record.key == MODEL_KEY and record.value:
                        self.take_model(record.value)
