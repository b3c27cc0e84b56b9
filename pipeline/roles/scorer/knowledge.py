"""What a scorer knows beside the cards: the policy, the bank's lists, the model, the table of entities, the exchange
rates — and how it learns of new ones.

A poll takes `Knowledge.current` once, so all its transactions are decided under the same versions. A policy file that
does not parse, or a snapshot that is not genuine, is refused with its reason; the running one stays.
"""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Protocol

import structlog

from models.calibrate import PriorCurve
from models.scorer import Model
from models.snapshot import SnapshotRefused, open_sealed
from pipeline.core.currencies import Money
from pipeline.core.customer_table import CustomerTable
from pipeline.core.entity_count_table import EntityCountTable
from pipeline.core.entity_record import open_part
from pipeline.core.entity_table import EntityTable
from pipeline.core.features import LAYOUT
from pipeline.core.lists import NO_LISTS, ListError, Lists
from pipeline.core.merchant_table import MerchantTable
from pipeline.core.model_shelf import ModelShelf, fitting
from pipeline.core.models_file import MAX_CHALLENGERS
from pipeline.core.policy import Policy, PolicyError
from pipeline.core.poll import Challenger, Versions
from pipeline.core.tag_table import TagTable
from pipeline.core.told import Heard, Kind, Told, is_told_key, open_told
from pipeline.core.topics import MODEL_KEY, MODEL_ORDER_KEY, challenger_name, is_table_key
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


class ListSource(Protocol):
    """Where the bank's lists come from."""

    def changed(self) -> bool:
        """Whether there is something new since the last `read`."""

    def read(self) -> Lists:
        """All of them; takes a second where they are long. Raises ListError, OSError or UnicodeError."""


class Knowledge:
    """Policy, lists, model and money in force now. Raises PolicyError when the policy asks lists that are not there."""

    def __init__(
        self,
        policy: Policy,
        money: Money,
        curve: PriorCurve,
        snapshot_key: bytes | None,
        parse: Callable[[str, str], Policy],
        lists: Lists = NO_LISTS,
    ) -> None:
        self._curve = curve
        self._key = snapshot_key
        self._parse = parse
        self._shelf = None if snapshot_key is None else ModelShelf(snapshot_key, partial(fitting, curve=curve))
        self._heard = Heard()
        merchants, customers, counts, tags = MerchantTable(), CustomerTable(), EntityCountTable(), TagTable()
        self._take_told: dict[Kind, Callable[[Told], None]] = {
            "merchants": merchants.take, "customers": customers.take, "counters": counts.take,
            "tags": tags.take,
        }  # fmt: skip
        self._challengers: dict[str, Challenger] = {}
        _check_met(policy, lists)
        self._waiting: Lists | None = None
        """Lists that were refused because the running policy asks more: another may not."""
        self._came = False
        """Lists have come since a policy was read."""
        self._unmet = False
        """The policy that was read last asks lists that were not there."""
        self.current = Versions(
            policy.in_force(lists),
            Model.day_one(LAYOUT, curve),
            money,
            lists,
            EntityTable(),
            merchants,
            customers,
            counts=counts,
            tags=tags,
        )

    def reload(self, source: PolicySource) -> bool:
        """Take the policy from ``source``; False, and the old one stays, when it is wrong."""
        self._unmet = self._came = False
        try:
            policy = self._parse(*source.read())
            lists = self._waiting if self._waiting is not None else self.current.lists
            if policy.unmet(lists):
                lists = self.current.lists
                self._unmet = bool(policy.unmet(lists))
                _check_met(policy, lists)
            policy = policy.in_force(lists)
        except (PolicyError, OSError, UnicodeError) as error:
            log.error("policy refused, the running one stays", reason=str(error), running=self.current.policy.version)
            return False
        if lists is self._waiting:
            self._waiting = None
        if policy.version != self.current.policy.version or lists is not self.current.lists:
            self.current = self.current._replace(policy=policy, lists=lists)
            log.info("policy in force", version=policy.version, rules=len(policy.rules))
        return True

    def reload_if_new(self, source: PolicySource) -> None:
        """Take a policy that changed, or one that waited for lists which have come."""
        if source.changed() or (self._unmet and self._came):
            self.reload(source)

    def take_lists(self, lists: Lists) -> bool:
        """Use other lists; False, and the old ones stay, when the running policy asks one that is not among them."""
        try:
            _check_met(self.current.policy, lists)
        except PolicyError as error:
            log.error("lists refused, the running ones stay", reason=str(error))
            self._waiting, self._came = lists, True
            return False
        self._waiting, self._came = None, True
        policy = self.current.policy.in_force(lists)
        self.current = self.current._replace(policy=policy, lists=lists)
        log.info("lists in force", policy=policy.version, lists=len(lists.by_name))
        return True

    async def follow_lists(self, source: ListSource, stop: asyncio.Event) -> None:
        """Read in a thread, for long lists take a second that decisions would wait."""
        while not stop.is_set():
            if source.changed():
                try:
                    self.take_lists(await asyncio.to_thread(source.read))
                except (ListError, OSError, UnicodeError) as error:
                    log.error("lists refused, the running ones stay", reason=str(error))
            await asyncio.sleep(POLICY_LOOK_S)

    async def follow_policy(self, source: PolicySource, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.reload_if_new(source)
            await asyncio.sleep(POLICY_LOOK_S)

    def take_model(self, sealed: bytes) -> bool:
        """A sealed snapshot that the learner released: in force at once unless people ordered another. False when it is
        refused."""
        return self._take(sealed, ModelShelf.take_model)

    def take_order(self, record: bytes) -> bool:
        """What people ordered about the model. False when it is refused."""
        return self._take(record, ModelShelf.take_order)

    def _take(self, record: bytes, take: Callable[[ModelShelf, bytes], object]) -> bool:
        if self._shelf is None:
            log.warning("a model was published, but CARDWATCH_SNAPSHOT_KEY is not set: it cannot be checked")
            return False
        try:
            take(self._shelf, record)
        except (ValueError, IndexError) as error:
            log.error("model refused, the running one stays", reason=str(error), running=self.current.model.version)
            return False
        model, order = self._shelf.in_force, self._shelf.release.order
        if model is not None and model.version != self.current.model.version:
            self.current = self.current._replace(model=model)
            log.info("model in force", version=model.version, ordered=order.action if order else None)
        self._set_challengers()
        return True

    def take_challenger(self, name: str, sealed: bytes | None) -> bool:
        """A sealed snapshot of the challenger ``name``, which scores beside the model in force from now on; nothing:
        there is none of this name any more. False when it is refused."""
        if self._key is None:
            return False  # said of the model already
        if not sealed:
            self._challengers.pop(name, None)
            self._set_challengers()
            return True
        try:
            snapshot = open_sealed(sealed, self._key)
            if snapshot.model != name or (self._shelf is not None and snapshot.epoch < self._shelf.release.epoch):
                raise SnapshotRefused(f"another model's, {snapshot.model}, or of a learner whose time is over")
            made = Challenger(fitting(snapshot, self._curve), snapshot.share)
        except ValueError as error:
            log.error("challenger refused", name=name, reason=str(error))
            return False
        self._challengers[name] = made
        self._set_challengers()
        return True

    def _set_challengers(self) -> None:
        """All but the one that was promoted: until the learner gives it its new part, it is on control as both."""
        model = self._shelf.release.in_force if self._shelf is not None else None
        others = [made for name, made in sorted(self._challengers.items()) if model is None or name != model.model]
        self.current = self.current._replace(challengers=tuple(others[:MAX_CHALLENGERS]))

    @property
    def frozen(self) -> bool:
        """Whether people ordered one version to be kept."""
        return self._shelf is not None and self._shelf.release.frozen

    def take_part(self, sealed: bytes) -> bool:
        """Use a sealed part of the table of entities; False when it is refused."""
        if self._key is None:
            return False  # said of the model already
        try:
            self.current.entities.take(open_part(sealed, self._key))
        except ValueError as error:
            log.error("part of the table of entities refused, the one in hand stays", reason=str(error))
            return False
        return True

    def take_told(self, sealed: bytes) -> bool:
        """Use what is told of merchants, customers, their tags or the bank's counters; False when it is refused."""
        if self._key is None:
            return False  # said of the model already
        try:
            told = open_told(sealed, self._key)
            self._heard.check(told)
            self._take_told[told.kind](told)
        except ValueError as error:
            log.error(
                "what was told of merchants, customers or counters is refused, what is in hand stays", reason=str(error)
            )
            return False
        return True

    async def follow_control(
        self, open_reader: Callable[[], Reader], caught_up: asyncio.Event, stop: asyncio.Event
    ) -> None:
        """Take every model and every part of the table published; ``caught_up`` is set when what was there at the start has been read. When the
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
                    elif record.key == MODEL_ORDER_KEY and record.value:
                        self.take_order(record.value)
                    elif (name := challenger_name(record.key)) is not None:
                        self.take_challenger(name, record.value)
                    elif is_table_key(record.key) and record.value:
                        self.take_part(record.value)
                    elif is_told_key(record.key) and record.value:
                        self.take_told(record.value)


def _check_met(policy: Policy, lists: Lists) -> None:
    if unmet := policy.unmet(lists):
        raise PolicyError(unmet[0])
