"""Wiring of `cardwatch model`: `control` read to its end, an order appended, and read again to see that it counts."""

from collections.abc import Callable
from typing import Self

from pydantic import model_validator

from models.snapshot import SnapshotRefused
from pipeline.adapters.clock import SystemClock
from pipeline.adapters.kafka.log import KafkaLog
from pipeline.adapters.kafka.readers import KafkaReader
from pipeline.adapters.version_files import VersionFiles
from pipeline.app.configuration import secret
from pipeline.core.model_board import ModelBoard, OrderRefused
from pipeline.core.model_release import Action, Order
from pipeline.core.moments import rfc3339
from pipeline.core.topics import CONTROL, MODEL_ORDER_KEY, Outgoing
from pipeline.ports import Clock, Log, Reader
from pipeline.roles.archive.settings import ArchiveSettings
from pipeline.settings import PREFIX

POLL_S = 0.5
SILENCE_S = 15.0


class Overtaken(Exception):
    """Somebody else ordered at the same moment, and that order counts: a sentence."""


class NotRead(Exception):
    """`control` could not be read to its end: a sentence."""


class ModelSettings(ArchiveSettings):
    """The archive's directory is where versions that `control` no longer has are looked for."""

    @model_validator(mode="after")
    def _has_a_key(self) -> Self:
        if self.snapshot_key is None:
            raise ValueError(
                f"{PREFIX}SNAPSHOT_KEY (or {PREFIX}SNAPSHOT_KEY_FILE) is missing: models and orders are signed with it"
            )
        return self


async def read_board(open_reader: Callable[[], Reader], key: bytes, clock: Clock) -> ModelBoard:
    """Everything on `control` up to its present end. Raises NotRead."""
    board, reader = ModelBoard(key), open_reader()
    try:
        await reader.start()
        behind = {partition: end for partition, end in (await reader.ends()).items() if end > 0}
        heard_at = clock.now()
        while behind:
            poll = await reader.poll(POLL_S)
            if poll:
                heard_at = clock.now()
            elif clock.now() - heard_at > SILENCE_S:
                raise NotRead("the topic control did not answer to its end: nothing is known of the models")
            for partition, records in poll.items():
                for record in records:
                    board.take(record)
                if records and records[-1].offset + 1 >= behind.get(partition, 0):
                    behind.pop(partition, None)
    finally:
        await reader.stop()
    return board


async def give_order(
    open_reader: Callable[[], Reader],
    log: Log,
    board: ModelBoard,
    key: bytes,
    clock: Clock,
    action: Action,
    target: str,
    by: str,
    why: str,
) -> Order:
    """Append the order and answer it once it is seen to count. Raises OrderRefused, Overtaken, NotRead."""
    sequence = board.release.order.sequence if board.release.order else 0
    await log.append(CONTROL, {0: board.order(action, target, by, why, rfc3339(clock.now()))})
    after = await read_board(open_reader, key, clock)
    order = after.release.order
    if order is None:
        raise NotRead("the order was written, but is not found on control")
    if after.winner is not None and after.winner != after.newest_order:
        await log.append(CONTROL, {0: [Outgoing(MODEL_ORDER_KEY, after.winner)]})  # compaction keeps what is last
    if (order.by, order.action, order.why) != (by, action, why) or order.sequence <= sequence:
        raise Overtaken(
            f"{order.by} ordered {order.action} at the same moment, and that counts: look again, then decide"
        )
    return order


async def board_of(settings: ModelSettings, clock: Clock) -> ModelBoard:
    key = secret(settings.snapshot_key) or b""
    return await read_board(lambda: KafkaReader(settings, CONTROL), key, clock)


async def ordered(action: Action, target: str, by: str, why: str) -> Order:
    """As `give_order`, on the installation's own servers. A version that `control` no longer has is looked for in the
    archive."""
    settings, clock = ModelSettings(), SystemClock()
    key, log = secret(settings.snapshot_key) or b"", KafkaLog(settings)
    await log.start()
    try:
        board = await board_of(settings, clock)
        if action == "pin":
            _from_archive(settings, board, target)
        return await give_order(
            lambda: KafkaReader(settings, CONTROL), log, board, key, clock, action, target, by, why
        )  # fmt: skip
    finally:
        await log.stop()


def _from_archive(settings: ModelSettings, board: ModelBoard, target: str) -> None:
    try:
        board.find(target)
    except OrderRefused:
        sealed = VersionFiles(settings.archive_dir).model(target)
        if sealed is None:
            raise
        try:
            board.know(sealed, target)
        except SnapshotRefused as error:
            raise OrderRefused(f"{target}: {error}") from None
