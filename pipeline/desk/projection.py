"""What the desk knows: a bounded projection of the decisions, contacts and card-commands topics; what it knows of
reminders stands beside it (`reminding`).

Nothing here comes from another role's memory: whoever reads the same topics sees the same. Topics are read side by
side, so a conversation may be told before its alert; both are kept under the alert's id and meet when shown. A
decision that approves is counted from its headers alone, its JSON is never parsed.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from pipeline.core.decision import (
    HEADER_OUTCOME,
    HEADER_SOURCE_OFFSET,
    HEADER_SOURCE_TIMESTAMP,
    Decision,
    Outcome,
)
from pipeline.core.first_wins import FirstWins
from pipeline.core.records import CardCommand, CardCommandResult, ContactStep
from pipeline.core.topics import (
    ACCOUNTS,
    CARD_COMMAND_RESULTS,
    CARD_COMMANDS,
    CONTACT_REQUESTS,
    CONTACTS,
    DECISIONS,
)
from pipeline.desk.counting import Counting
from pipeline.desk.reminding import Reminding
from pipeline.ports import Record

ALERTS_KEPT = 2_000
STORIES_KEPT = 4_000
"""More than alerts: a conversation may arrive before its alert."""
STEPS_KEPT = 40
COMMANDS_KEPT = 20
RESULTS_KEPT = 8_000

TOPICS = (DECISIONS, CONTACTS, CARD_COMMANDS, CARD_COMMAND_RESULTS, CONTACT_REQUESTS, ACCOUNTS)
"""What the desk reads."""

AlertKey = tuple[int, int, int]
"""Log time in ms, partition, source offset: the order of alerts, the same after every restart."""


T = TypeVar("T")


class Alert(NamedTuple):
    """A decision of outcome notify or above. ``latency_ms``: transaction's log time → decision's log time."""

    key: AlertKey
    outcome: Outcome
    decision: Decision
    latency_ms: int


class ToldStep(NamedTuple):
    """A step of a conversation; ``timestamp_ms`` is its time in the log."""

    timestamp_ms: int
    step: ContactStep


class ToldCommand(NamedTuple):
    """A card command. ``done`` None: the switch has not answered yet."""

    timestamp_ms: int
    command: CardCommand
    done: bool | None


class Story(NamedTuple):
    """What followed an alert, oldest first. ``revision`` changes whenever anything here does."""

    steps: tuple[ToldStep, ...] = ()
    commands: tuple[ToldCommand, ...] = ()
    revision: int = 0


class Projection:
    """Feed it records with the ``apply_…`` methods; each ignores what it can't use and counts it in ``unusable``."""

    def __init__(self, reminding: Reminding | None = None) -> None:
        self.reminding = Reminding() if reminding is None else reminding
        self.counting = Counting()
        self.revision = 0
        """Changes whenever an alert or a story does."""
        self.unusable: dict[str, int] = {topic.name: 0 for topic in TOPICS}
        self._first_wins = FirstWins()
        self._order: list[Alert] = []
        self._alerts: dict[str, Alert] = {}
        self._stories: OrderedDict[str, Story] = OrderedDict()
        self._results: OrderedDict[str, bool] = OrderedDict()
        self._commanded: OrderedDict[str, str] = OrderedDict()
        self._decode_decision = msgspec.json.Decoder(Decision).decode
        self._decode_step = msgspec.json.Decoder(ContactStep).decode
        self._decode_command = msgspec.json.Decoder(CardCommand).decode
        self._decode_result = msgspec.json.Decoder(CardCommandResult).decode

    # what comes in

    def apply_decision(self, record: Record) -> None:
        headers = dict(record.headers)
        try:
            offset = int(headers[HEADER_SOURCE_OFFSET])
            latency_ms = record.timestamp - int(headers[HEADER_SOURCE_TIMESTAMP])
            outcome = Outcome[headers[HEADER_OUTCOME].decode()]
        except (KeyError, ValueError, TypeError, AttributeError):  # a Kafka header may also be null
            self.unusable[DECISIONS.name] += 1
            return
        if not self._first_wins.accept(record.partition, offset):
            return
        self.counting.add(record.timestamp, outcome, latency_ms)
        if outcome is Outcome.approve:
            return
        decision = self._decoded(self._decode_decision, record, DECISIONS.name)
        if decision is None or decision.id in self._alerts:
            return
        alert = Alert((record.timestamp, record.partition, offset), outcome, decision, latency_ms)
        self._alerts[decision.id] = alert
        insort(self._order, alert, key=lambda kept: kept.key)
        if len(self._order) > ALERTS_KEPT:
            del self._alerts[self._order.pop(0).decision.id]
        self.revision += 1

    def apply_contact(self, record: Record) -> None:
        step = self._decoded(self._decode_step, record, CONTACTS.name)
        if step is None:
            return
        self.reminding.apply_contact(step, record)
        if "alert" not in step.subject:
            return
        story = self.story(step.subject["alert"])
        if any(told.step == step for told in story.steps):
            return  # the outbox sends again what it could not confirm
        told = (*story.steps, ToldStep(record.timestamp, step))
        self._tell(step.subject["alert"], story._replace(steps=told[-STEPS_KEPT:]))

    def apply_command(self, record: Record) -> None:
        command = self._decoded(self._decode_command, record, CARD_COMMANDS.name)
        if command is None or command.alert is None:
            return
        story = self.story(command.alert)
        if any(told.command.id == command.id for told in story.commands):
            return
        done = self._results.get(command.id)
        told = (*story.commands, ToldCommand(record.timestamp, command, done))
        _remember(self._commanded, command.id, command.alert, RESULTS_KEPT)
        self._tell(command.alert, story._replace(commands=told[-COMMANDS_KEPT:]))

    def apply_command_result(self, record: Record) -> None:
        result = self._decoded(self._decode_result, record, CARD_COMMAND_RESULTS.name)
        if result is None:
            return
        _remember(self._results, result.id, result.done, RESULTS_KEPT)
        alert = self._commanded.get(result.id)
        if alert is not None:
            story = self.story(alert)
            answered = (
                told._replace(done=result.done) if told.command.id == result.id else told for told in story.commands
            )
            self._tell(alert, story._replace(commands=tuple(answered)))

    def apply_request(self, record: Record) -> None:
        self.unusable[CONTACT_REQUESTS.name] += not self.reminding.apply_request(record)

    def apply_account(self, record: Record) -> None:
        self.unusable[ACCOUNTS.name] += not self.reminding.apply_account(record)

    def log_began_anew(self, topic: str) -> None:
        """The broker forgot this topic: so does the desk, else first-wins would refuse the new log's decisions."""
        if topic == DECISIONS.name:
            self.counting = Counting()
            self._first_wins = FirstWins()
            self._order, self._alerts = [], {}
        elif topic == CARD_COMMAND_RESULTS.name:
            self._results.clear()
        elif topic == CONTACT_REQUESTS.name:
            self.reminding.requests_began_anew()
        elif topic == ACCOUNTS.name:
            self.reminding.accounts_began_anew()
        else:
            if topic == CONTACTS.name:
                self.reminding.contacts_began_anew()
            for alert, story in self._stories.items():
                kept = story._replace(steps=()) if topic == CONTACTS.name else story._replace(commands=())
                self._stories[alert] = kept._replace(revision=story.revision + 1)
        self.revision += 1

    # what is asked

    def alert(self, transaction_id: str) -> Alert | None:
        return self._alerts.get(transaction_id)

    def story(self, transaction_id: str) -> Story:
        return self._stories.get(transaction_id) or Story()

    def alerts(self, limit: int, before: AlertKey | None = None, outcome: Outcome | None = None) -> Sequence[Alert]:
        """Newest first, at most ``limit``; ``before`` (exclusive) continues from the last one seen."""
        end = len(self._order) if before is None else bisect_left(self._order, before, key=lambda alert: alert.key)
        found: list[Alert] = []
        for index in range(end - 1, -1, -1):
            if len(found) == limit:
                break
            if outcome is None or self._order[index].outcome is outcome:
                found.append(self._order[index])
        return found

    def __len__(self) -> int:
        """Alerts kept."""
        return len(self._order)

    def _tell(self, alert: str, story: Story) -> None:
        self.revision += 1
        _remember(self._stories, alert, story._replace(revision=story.revision + 1), STORIES_KEPT)

    def _decoded(self, decode: Callable[[bytes], T], record: Record, topic: str) -> T | None:
        try:
            return decode(record.value or b"")
        except msgspec.MsgspecError:
            self.unusable[topic] += 1
            return None


def _remember(kept: OrderedDict[str, T], key: str, value: T, limit: int) -> None:
    """Set, as the newest; the oldest beyond ``limit`` goes."""
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > limit:
        kept.popitem(last=False)
