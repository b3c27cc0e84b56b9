"""A cascade with a text message first and three calls after it, told as a script of small words, in simulated time."""

import asyncio
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from contact_world import CONFIG, Read, SetClock, World, customer, decision, own, until_done, with_ladder

from pipeline.adapters.memory_contacts import MemoryContactStore
from pipeline.core.conversation import Answered, Conversation, attempt_key, contact_id, decode
from pipeline.ports_channels import (
    CallAbsent,
    CallAccepted,
    CallOrder,
    CallRefused,
    CallReport,
    CallUnknown,
    MessageOrder,
)
from pipeline.roles.contact.circuit import Circuit, Guard, GuardedChannel, GuardedProvider
from pipeline.roles.contact.role import ContactRole

MOBILE, HOME = "+8613800138042", "+861065550042"
NAMES = {MOBILE: "mobile", HOME: "home"}
MORNING = datetime(2026, 3, 2, 2, tzinfo=UTC).timestamp()
"""Ten o'clock in Shanghai, whose customers these are."""
CARD, SECOND_CARD = "tok_card_0001", "tok_card_0002"
LADDER = """
[[ladder]]
channel = "sms"
wait_s = 300.0

[[ladder]]
channel = "voice"
number = "mobile"
tries = 2

[[ladder]]
channel = "voice"
number = "home"
"""
DAYTIME = 'start = "08:00"\nend = "22:00"'
SMALL_DOUBTS = '[[silence]]\nclasses = ["fraud"]\nthen = "release"\nbelow_score = 0.2\nsource = "the test"\n\n'


def cascade_config(path: Path, cap: str = "", acknowledge_s: float = 0.0) -> Path:
    """The product's configuration with this ladder in its ``demo`` profile, and daytime only; ``cap``: more TOML;
    ``acknowledge_s``: how long the switch has to acknowledge a release."""
    (path / "contact").mkdir(parents=True)
    (path / "messages").symlink_to(CONFIG / "messages", target_is_directory=True)
    text = (CONFIG / "contact" / "demo.toml").read_text(encoding="utf-8")
    text = with_ladder(text, LADDER)
    text = text.replace('start = "00:00"\nend = "24:00"', DAYTIME)
    text = re.sub(r"(?m)^acknowledge_s = [\d.]+", f"acknowledge_s = {acknowledge_s}", text)
    text = re.sub(r"(?m)^(GB|US) = .*\n", "", text)  # daytime in all of these at once there is none
    text = text.replace("[[silence]]", SMALL_DOUBTS + "[[silence]]", 1)
    (path / "contact" / "demo.toml").write_text(text + cap, encoding="utf-8")
    return path


@dataclass
class Carrier:
    """A MessageChannel, and a Provider that rings, with trouble on demand: ``trouble`` is what the next orders meet.
    ``loses`` takes the order and says nothing; ``drops`` does not take it and says nothing; ``away`` cannot be asked
    either. ``made``: every order, in the order in which they came, shared by all carriers."""

    made: list[CallOrder | MessageOrder]
    trouble: str = "works"
    reports: dict[str, CallReport] = field(default_factory=dict)
    cancelled: list[tuple[str, str | None]] = field(default_factory=list)

    async def _take(self, order: CallOrder | MessageOrder) -> CallAccepted | CallRefused | CallUnknown:
        await asyncio.sleep(0)
        match self.trouble:
            case "busy" | "broken":
                return CallRefused(False, "429" if self.trouble == "busy" else "500")
            case "rejects":
                return CallRefused(True, "400")
            case "drops" | "away":
                self.made.append(order)
                return CallUnknown("time-out")
        self.made.append(order)
        status = "ringing" if isinstance(order, CallOrder) else "sent"
        self.reports.setdefault(order.key, CallReport(order.key, f"id_{order.key}", status))
        return CallUnknown("time-out") if self.trouble == "loses" else CallAccepted(self.reports[order.key].call)

    async def place(self, call: CallOrder) -> CallAccepted | CallRefused | CallUnknown:
        return await self._take(call)

    async def send(self, order: MessageOrder) -> CallAccepted | CallRefused | CallUnknown:
        return await self._take(order)

    async def find(self, key: str) -> CallReport | CallAbsent | CallUnknown:
        await asyncio.sleep(0)
        return CallUnknown("away") if self.trouble == "away" else self.reports.get(key, CallAbsent())

    async def cancel(self, key: str, call: str | None) -> None:
        self.cancelled.append((key, call))


class SlowStore(MemoryContactStore):
    """Pauses before each step, so that workers' steps mix."""

    async def look(self, asked: Any) -> Any:
        await asyncio.sleep(0)
        return await super().look(asked)

    async def conversation(self, contact: str) -> Any:
        await asyncio.sleep(0)
        return await super().conversation(contact)

    async def commit(self, *args: Any, **more: Any) -> Any:
        await asyncio.sleep(0)
        return await super().commit(*args, **more)


def asked_about(transaction: str, card: str, at: float, offset: int, partition: int = 0, **more: Any) -> Read:
    """A decision that holds the card and wants the cardholder asked, of a payment made at ``at``."""
    record = decision(transaction, offset=offset, card=card, **more)
    headers = [(name, value) for name, value in record.headers if name != "source_timestamp"]
    headers.append(("source_timestamp", b"%d" % round(at * 1000)))
    return replace(record, partition=partition, headers=headers)


def cardholder(**more: Any) -> Read:
    """Customer cu1 of Shanghai with a mobile, a home number and two cards."""
    cards = [{"card": CARD, "last4": "4242"}, {"card": SECOND_CARD, "last4": "1881"}]
    phones = [{"number": MOBILE}, {"number": HOME, "kind": "home"}]
    return customer(**{"country": "CN", "phones": phones, "cards": cards} | more)


class Cascade:
    """One worker, its carriers and a cardholder. Each verb of a script is a method here."""

    def __init__(self, config: Path) -> None:
        self.made: list[CallOrder | MessageOrder] = []
        self.calls, self.texts = Carrier(self.made), Carrier(self.made)
        self.world = World(MemoryContactStore(), clock=SetClock(MORNING), config=config)
        clock = self.world.clock
        self.text_guard = Guard(clock, Circuit(1, 3600))
        self.call_guard = Guard(clock, Circuit(3, 3600))
        self.world.provider = GuardedProvider(self.calls, self.call_guard)
        self.world.messages["sms"] = GuardedChannel(self.texts, self.text_guard)
        self.role: ContactRole = self.world.worker()
        self.contact = contact_id(CARD, "tx1")
        self.score = 0.9
        self.state_before = "—"
        self.steps_before = 0
        self.offset = 0
        self.messages = 0
        self.ended: CallReport | None = None

    async def begin(self) -> None:
        await self.role.customers([cardholder()])
        await own(self.role)

    def conversation(self) -> Conversation | None:
        kept = self.world.store.kept.get(self.contact)
        return decode(kept.value) if kept else None

    @property
    def state(self) -> str:
        conversation = self.conversation()
        return conversation.state if conversation else "—"

    def steps(self) -> list[str]:
        told = [step for step in self.world.log.values("contacts") if step["contact"] == self.contact]
        return [str(step["step"]) for step in told]

    def attempts(self) -> list[str]:
        """Where each question went; one sent again under its key counts once. Thanks are no questions."""
        asked = {order.key: order for order in self.made if order.key.split(":")[1] == "1"}
        return [NAMES[order.to] if isinstance(order, CallOrder) else "sms" for order in asked.values()]

    def last_call(self) -> str:
        return [order.key for order in self.made if isinstance(order, CallOrder)][-1]

    async def play(self, script: str) -> None:
        """``script``: verbs with a word each, separated by commas; ``mark`` says where the telling begins."""
        await self.begin()
        for line in script.split(", "):
            verb, _, word = line.partition(" ")
            await getattr(self, f"do_{verb}")(word)
            await until_done(self.role)

    async def do_mark(self, word: str) -> None:
        self.state_before, self.steps_before = self.state, len(self.steps())

    async def _raise(self, transaction: str, card: str) -> None:
        record = asked_about(transaction, card, self.world.clock.now(), self.offset)
        assert record.value is not None
        record.value = msgspec.json.encode(msgspec.json.decode(record.value) | {"score": self.score})
        self.offset += 1
        await self.role.polled({0: [record]})

    async def do_alert(self, word: str) -> None:
        await self._raise(word or "tx1", CARD)

    async def do_doubt(self, word: str) -> None:
        """An alert that wants the cardholder asked and holds nothing."""
        await self.role.polled({0: [self.doubt(word or "tx1")]})

    async def do_reversal(self, word: str) -> None:
        """The decision of a reversal: the transaction taken back, and how much of it, if not all."""
        await self.role.polled({0: [self.reversal(word)]})

    def doubt(self, transaction: str) -> Read:
        self.offset += 1
        return asked_about(transaction, CARD, self.world.clock.now(), self.offset - 1, outcome="verify")

    def reversal(self, word: str) -> Read:
        original, _, amount = word.partition(" ")
        record = decision(f"rv_{self.offset}", "approve", self.offset, card=CARD)
        assert record.value is not None
        back = {"reverses": original, "amount": int(amount or 0), "currency": "CNY"}
        record.value = msgspec.json.encode(msgspec.json.decode(record.value) | back)
        record.headers = (*record.headers, ("reverses", original.encode()))
        self.offset += 1
        return record

    async def do_event(self, word: str) -> None:
        """A customer event of this type, a number of days ago."""
        type_, _, days = word.partition(" ")
        at = datetime.fromtimestamp(self.world.clock.now() - float(days or 0) * 86_400, UTC).isoformat()
        value = msgspec.json.encode({"customer": "cu1", "type": type_, "time": at})
        await self.role.customer_events([Read(value, b"cu1")])

    async def do_other(self, word: str) -> None:
        """An alert of the customer's other card: from here on, its conversation is told about."""
        self.contact = contact_id(SECOND_CARD, "tx9")
        await self._raise("tx9", SECOND_CARD)

    async def do_wait(self, word: str) -> None:
        self.world.clock.pass_s(float(word))

    async def do_ends(self, word: str) -> None:
        await self._report(self.last_call(), word)

    async def do_key(self, word: str) -> None:
        await self._report(self.last_call(), "completed", word)

    async def do_late(self, word: str) -> None:
        """The call-back of an earlier attempt: number and key."""
        number, digits = word.split(" ")
        await self._report(attempt_key(self.contact, int(number)), "completed", digits)

    async def do_again(self, word: str) -> None:
        assert self.ended is not None
        await self.role.reported(self.ended)

    async def _report(self, key: str, status: str, digits: str | None = None) -> None:
        self.ended = self.calls.reports[key] = self.calls.reports[key]._replace(status=status, digits=digits)
        await self.role.reported(self.ended)

    async def do_reply(self, word: str) -> None:
        """A text message with this word; ``=`` before it: the last message delivered once more."""
        self.messages += not word.startswith("=")
        await self.role.replied("sms", MOBILE, word.removeprefix("="), f"m{self.messages}")

    async def do_receipt(self, word: str) -> None:
        """What the text message's carrier says of it."""
        (report,) = self.texts.reports.values()
        await self.role.reported(report._replace(status=word))

    async def do_app(self, word: str) -> None:
        await self.role.answered(self.contact, Answered(word, "app", "app"))  # type: ignore[arg-type]

    async def do_agent(self, word: str) -> None:
        """An agent's word; a number after it is the attempt it is about."""
        said, _, attempt = word.partition(" ")
        number = int(attempt) if attempt else None
        await self.role.answered(self.contact, Answered(said, "agent", "agent", number))  # type: ignore[arg-type]

    async def do_switch(self, word: str) -> None:
        """The switch's answer to the last release: ``done`` or ``late``."""
        release = [value for value in self.world.log.values("card-commands") if value["command"] == "release"][-1]
        result = {"id": release["id"], "done": word == "done", "time": "2026-03-02T02:00:00Z"}
        await self.role.results([Read(msgspec.json.encode(result), CARD.encode())])

    async def do_texts(self, word: str) -> None:
        self.texts.trouble = word

    async def do_calls(self, word: str) -> None:
        self.calls.trouble = word

    async def do_circuit(self, word: str) -> None:
        """The circuit of ``texts`` or ``calls`` opens: others have met so many failures."""

        async def failing() -> CallUnknown:
            return CallUnknown("time-out")

        guard = self.text_guard if word == "texts" else self.call_guard
        while guard.state() != "open":
            await guard.call(failing)

    async def do_customer(self, word: str) -> None:
        """The bank's record changes."""
        days_5 = datetime.fromtimestamp(MORNING - 5 * 86_400, UTC).isoformat()
        changed: dict[str, Read] = {
            "new_number": cardholder(phones=[{"number": MOBILE, "since": days_5}]),
            "no_digits": cardholder(cards=[{"card": CARD}, {"card": SECOND_CARD}]),
            "other_number": cardholder(phones=[{"number": HOME, "kind": "home"}]),
            "one_number": cardholder(phones=[{"number": MOBILE}]),
            "erased": Read(None, b"cu1"),
        }
        await self.role.customers([changed[word]])

    async def do_small(self, word: str) -> None:
        """The next alert is hardly a doubt."""
        self.score = 0.1
