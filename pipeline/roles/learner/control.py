"""What an earlier learner left on ``control``: its newest model, and the table of entities part by part."""

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from models.detector import DetectorPlan
from models.envelope import SealBroken
from models.snapshot import Snapshot, SnapshotRefused, open_sealed
from pipeline.core.entity_record import open_part
from pipeline.core.entity_table import Bucket
from pipeline.core.told import EpochOver, Gathered, Heard, Kind, Told, is_told_key, open_told
from pipeline.core.topics import CONTROL, MODEL_KEY, MODEL_WITHHELD_KEY, Record, challenger_name, is_table_key
from pipeline.ports import Clock, Reader

log = structlog.get_logger(__name__)


class LogSilent(Exception):
    """A topic could not be read as far as it goes."""


@dataclass
class Found:
    """What ``control`` held that is signed with our key: the snapshot to go on from with its key, blob and time, the parts
    of the table by number, what was told of merchants and customers, the challengers' newest snapshots by name, the highest epoch of any
    record, and where reading ended."""

    snapshot: Snapshot | None = None
    sealed: bytes = b""
    key: bytes = MODEL_KEY
    made_at: float = 0.0
    highest_epoch: int = 0
    parts: dict[int, Bucket] = field(default_factory=dict)
    challengers: dict[str, Snapshot] = field(default_factory=dict)
    next: dict[int, int] = field(default_factory=dict)
    told: dict[Kind, Gathered] = field(default_factory=dict)
    heard: Heard = field(default_factory=Heard)


class ControlState:
    """Reads ``control``. ``plan`` and ``layout``: what a snapshot must fit to be gone on from; ``hear`` is told every
    record."""

    def __init__(
        self, key: bytes, plan: DetectorPlan, layout: str, hear: Callable[[Record], None] = lambda record: None
    ) -> None:
        self._hear = hear
        self._key = key
        self._plan = plan
        self._layout = layout

    async def read(self, reader: Reader, clock: Clock, poll_s: float, silence_s: float) -> Found:
        """Everything up to its present end: of the snapshots that fit, the one of the highest epoch that learned most;
        of each part of the table the newest. ``reader`` is started. Raises LogSilent."""
        found = Found()
        behind = {partition: end for partition, end in (await reader.ends()).items() if end > 0}
        heard_at = clock.now()
        while behind:
            poll = await reader.poll(poll_s)
            now = clock.now()
            if poll:
                heard_at = now
            elif now - heard_at >= silence_s:
                raise LogSilent(f"topic {CONTROL.name}: nothing came, though partitions {sorted(behind)} hold records")
            for partition, records in poll.items():
                for record in records:
                    self._take(found, record)
                    self._hear(record)
                    found.next[partition] = record.offset + 1
                if records and records[-1].offset + 1 >= behind.get(partition, 0):
                    behind.pop(partition, None)
        return found

    def _take(self, found: Found, record: Record) -> None:
        models = (MODEL_KEY, MODEL_WITHHELD_KEY)  # a learner goes on learning from what it withheld, too
        challenger = challenger_name(record.key)
        if challenger is not None and not record.value:
            found.challengers.pop(challenger, None)
        known = record.key in models or challenger or is_table_key(record.key) or is_told_key(record.key)
        if not record.value or not known:
            return
        try:
            if challenger is not None:
                self._take_challenger(found, challenger, record.value)
            elif record.key in models:
                self._take_model(found, record, record.value)
            elif is_table_key(record.key):
                take_part(found, open_part(record.value, self._key))
            else:
                take_told(found, open_told(record.value, self._key))
        except (SnapshotRefused, SealBroken, EpochOver) as refused:
            log.warning("learner: a record on control is not used", offset=record.offset, reason=str(refused))

    def _take_model(self, found: Found, record: Record, value: bytes) -> None:
        snapshot = open_sealed(value, self._key)
        found.highest_epoch = max(found.highest_epoch, snapshot.epoch)
        if snapshot.layout != self._layout or not self._plan.suits(snapshot.detector):
            log.info("learner: a snapshot on control has another detector or features", version=snapshot.version)
            return
        best = found.snapshot
        if best is None or (snapshot.epoch, snapshot.learned) >= (best.epoch, best.learned):
            found.snapshot, found.sealed, found.made_at = snapshot, value, record.timestamp / 1_000
            found.key = record.key or MODEL_KEY

    def _take_challenger(self, found: Found, name: str, value: bytes) -> None:
        snapshot = open_sealed(value, self._key)
        found.highest_epoch = max(found.highest_epoch, snapshot.epoch)
        if snapshot.layout == self._layout and self._plan.suits(snapshot.detector) and snapshot.model == name:
            found.challengers[name] = snapshot


def take_part(found: Found, part: Bucket) -> None:
    """``part`` if it is newer than what was found of it."""
    found.highest_epoch = max(found.highest_epoch, part.epoch)
    before = found.parts.get(part.number)
    if before is None or (before.epoch, before.sequence) <= (part.epoch, part.sequence):
        found.parts[part.number] = part


def take_told(found: Found, told: Told) -> None:
    """``told``, in the order of the topic. Raises EpochOver."""
    found.highest_epoch = max(found.highest_epoch, told.epoch)
    found.heard.check(told)
    found.told.setdefault(told.kind, Gathered()).take(told)
