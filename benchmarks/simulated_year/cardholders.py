"""What happens at the other end: who picks up or reads, after how long, and what they say.

A customer says yes where all payments of the question are their own, and no otherwise; rarely they are mistaken. A thief
who has put a number of their own into the bank's record says yes to everything. What they meant goes into the evidence.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from pipeline.core.conversation import Answered
from pipeline.ports_channels import CallOrder, CallReport, MessageOrder
from simulated_year.agenda import Agenda
from simulated_year.carriers import Carrier, Order
from simulated_year.evidence import Evidence, Said
from simulated_year.people import Number, Person
from simulated_year.traffic import Raised

ENGLISH_WORDS: Mapping[str, Sequence[str]] = {
    "yes": ("YES", "yes", "Y", "1", "Yes!"), "no": ("NO", "no", "N", "2"), "stop": ("STOP", "Stop."),
    "later": ("LATER",), "none": ("who is this?", "no problem", "ok", "?"), "agent": ("HELP",),
}  # fmt: skip
CHINESE_WORDS: Mapping[str, Sequence[str]] = {
    "yes": ("是", "1", "是本人", "是的"), "no": ("否", "2", "不是本人"), "stop": ("退订", "T"), "later": ("稍后",),
    "none": ("你是谁", "好"), "agent": ("人工",),
}  # fmt: skip
KEYS = {"yes": "1", "no": "2", "agent": "0", "stop": "9", "none": "7"}


class Bank(Protocol):
    """What reaches the bank from outside, as soon and as often as it takes to be heard."""

    def report(self, report: CallReport, heard: Callable[[], None] | None = None) -> None: ...
    def reply(self, number: str, text: str, message: str, heard: Callable[[], None]) -> None: ...
    def answer(self, contact: str, answered: Answered, heard: Callable[[], None]) -> None: ...
    async def shown(self, card: str) -> tuple[str, Sequence[str]] | None: ...


class Holder(NamedTuple):
    """Who has a number."""

    person: Person
    number: Number


class Cardholders:
    """Everybody at the other end of the carriers' lines."""

    def __init__(self, agenda: Agenda, rng: random.Random, evidence: Evidence, bank: Bank) -> None:
        self._agenda = agenda
        self._rng = rng
        self._evidence = evidence
        self._bank = bank
        self._texts = 0
        self.alerts: dict[str, Raised] = {}
        self.holders: dict[str, Holder] = {}
        self.newest: dict[str, MessageOrder] = {}
        self.voice: Carrier | None = None
        self.sms: Carrier | None = None

    def knows(self, person: Person) -> None:
        for number in person.numbers:
            self.holders[number.number] = Holder(person, number)

    def asked(self, order: Order) -> None:
        """A carrier has taken a question."""
        holder = self.holders[order.to]
        if isinstance(order, CallOrder):
            self._rings(order, holder)
        else:
            self.newest[order.to] = order
            self._arrives(order, holder)

    def notices(self, person: Person, card: str) -> None:
        """The card was declined: some open the app."""
        if person.habits.app and self._rng.random() < 0.2:
            self._agenda.after(self._rng.uniform(20, 400), lambda: self._opens_app(person, card))

    async def _opens_app(self, person: Person, card: str) -> None:
        shown = await self._bank.shown(card)
        if shown is not None:
            contact, alerts = shown

            async def presses() -> None:
                said = self._say(contact, None, alerts, self._truth(alerts), "app", "app")
                answered = Answered(said.word, "app", "app", alerts=said.covers)  # type: ignore[arg-type] # one of its words
                self._bank.answer(contact, answered, _hears(said, self._agenda))

            self._agenda.after(self._rng.uniform(3, 40), presses)

    # --- a text message

    def _arrives(self, order: MessageOrder, holder: Holder) -> None:
        rng = self._rng
        if holder.number.who == "nobody" or rng.random() < 0.015:
            self._status(self.sms, order.key, rng.uniform(5, 60), "undelivered")
            return
        self._status(self.sms, order.key, rng.uniform(1, 8), "delivered")
        if holder.number.who == "customer" and rng.random() > holder.person.habits.replies:
            return
        if holder.number.who == "stranger" and rng.random() > 0.15:
            return
        self._agenda.after(10 + self._until_read(holder.person), lambda: self._replies(order, holder))

    def _until_read(self, person: Person) -> float:
        wait_s = self._rng.lognormvariate(4.1, 1.1)
        hour = self._hour(person)
        if (hour >= 23 or hour < 7) and self._rng.random() < 0.85:  # read in the morning
            wait_s += ((7.5 - hour) % 24) * 3600 * self._rng.uniform(0.95, 1.2)
        return wait_s

    async def _replies(self, order: MessageOrder, holder: Holder) -> None:
        rng = self._rng
        meant = order if rng.random() < 0.05 else self.newest[order.to]  # most answer what stands last on the screen
        contact, _, number = meant.key.split(":")
        word = self._word(meant.reference, holder.number.who, "sms")
        said = self._say(contact, int(number), meant.reference, word, "sms", "sms", holder)
        words = CHINESE_WORDS if holder.person.language.startswith("zh") else ENGLISH_WORDS
        text = rng.choice(words[word])
        self._texts += 1
        name, heard = f"m{self._texts}", _hears(said, self._agenda)
        late_s = rng.uniform(600, 7200) if rng.random() < 0.01 else rng.uniform(1, 6)
        self._later(late_s, lambda: self._bank.reply(order.to, text, name, heard))
        if rng.random() < 0.02:
            self._evidence.fault("a reply delivered twice")
            self._later(late_s + rng.choice([0.0, 3.0, 900.0]), lambda: self._bank.reply(order.to, text, name, heard))

    # --- a call

    def _rings(self, order: CallOrder, holder: Holder) -> None:
        rng = self._rng
        if holder.number.who == "nobody":
            self._ends(order, rng.uniform(2, 10), "failed")
            return
        chance = rng.random()
        if chance < 0.04 or chance > 0.985:
            self._ends(order, rng.uniform(2, 8), "busy" if chance < 0.04 else "failed")
        elif rng.random() > self._picks_up(holder):
            answered_by_machine = holder.person.habits.voicemail and holder.number.kind == "mobile"
            self._ends(order, rng.uniform(22, 32), "voicemail" if answered_by_machine else "no_answer")
        else:
            self._status(self.voice, order.key, rng.uniform(3, 20), "answered")
            self._spoken(order, holder, rng.uniform(24, 55))

    def _picks_up(self, holder: Holder) -> float:
        if holder.number.who in ("thief", "stranger"):
            return 0.9 if holder.number.who == "thief" else 0.4
        hour = self._hour(holder.person)
        at_work = 9 <= hour < 17.5
        good = {"home": 0.25 if at_work else 1.3, "work": 1.2 if at_work else 0.02}.get(holder.number.kind, 0.9)
        return holder.person.habits.picks_up * (good if 7.5 <= hour < 22.5 else 0.15)

    def _spoken(self, order: CallOrder, holder: Holder, after_s: float) -> None:
        rng = self._rng
        if rng.random() < (0.6 if holder.number.who == "stranger" else 0.05):
            self._ends(order, after_s / 2, "hung_up")
            return
        contact, _, number = order.key.split(":")

        async def speaks() -> None:
            word = self._word(order.reference, holder.number.who, "voice")
            if word == "later":
                word = "agent"
            heard = None
            if word != "wrong_person":
                said = self._say(contact, int(number), order.reference, word, "voice", "voice", holder)
                heard = _hears(said, self._agenda)
            self._ends(order, 0.0, "completed", KEYS.get(word, "0"), heard)
            if word == "wrong_person":  # says so to the menu that the key leads to
                self._says_wrong_person(order, contact, int(number), holder)

        self._agenda.after(after_s, speaks)

    def _says_wrong_person(self, order: CallOrder, contact: str, number: int, holder: Holder) -> None:
        said = self._say(contact, number, order.reference, "wrong_person", "voice", "voice", holder)
        answered = Answered("wrong_person", "voice", "voice", number)
        self._later(self._rng.uniform(5, 40), lambda: self._bank.answer(contact, answered, _hears(said, self._agenda)))

    def _ends(
        self,
        order: CallOrder,
        after_s: float,
        status: str,
        digits: str | None = None,
        heard: Callable[[], None] | None = None,
    ) -> None:
        contact, _, number = order.key.split(":")
        self._evidence.rung_until[contact, int(number)] = self._agenda.now_ms + round(after_s * 1000)
        self._status(self.voice, order.key, after_s, status, digits, heard)

    # --- what carriers report, and what is said

    def _status(
        self,
        carrier: Carrier | None,
        key: str,
        after_s: float,
        status: str,
        digits: str | None = None,
        heard: Callable[[], None] | None = None,
    ) -> None:
        """The carrier knows at once; its call-back comes, is lost, comes late, comes twice."""
        assert carrier is not None, "the lines are connected"
        rng, bank, evidence = self._rng, self._bank, self._evidence

        async def known() -> None:
            report = carrier.reported(key, status, digits)
            chance = rng.random()
            if chance < 0.02:
                evidence.fault("a report lost")
                return
            delay_s = rng.uniform(300, 20_000) if chance < 0.04 else rng.uniform(0.2, 2)
            self._later(delay_s, lambda: bank.report(report, heard))
            if chance > 0.96:
                evidence.fault("a report delivered twice")
                self._later(delay_s + rng.choice([0.0, 0.0, 5.0, 4000.0]), lambda: bank.report(report, heard))

        self._agenda.after(after_s, known)

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        async def acts() -> None:
            act()

        self._agenda.after(seconds, acts)

    def _say(
        self, contact: str, attempt: int | None, covers: Sequence[str], word: str, channel: str, assurance: str,
        holder: Holder | None = None,
    ) -> Said:  # fmt: skip
        who, number = (holder.number.who, holder.number.number) if holder else ("customer", "")
        said = Said(self._agenda.now_ms, contact, attempt, tuple(covers), word, channel, assurance, who, number)
        self._evidence.said.append(said)
        return said

    def _word(self, covers: Sequence[str], who: str, channel: str) -> str:
        rng = self._rng
        if who == "thief":
            return "yes"
        if who == "stranger":
            return rng.choice(["none", "none", "agent"]) if channel == "sms" else "wrong_person"
        chance = rng.random()
        for word, share in (("stop", 0.006), ("later", 0.02), ("agent", 0.02), ("none", 0.015)):
            if chance < share:
                return word
            chance -= share
        return self._truth(covers)

    def _truth(self, covers: Sequence[str]) -> str:
        fraud = any(self.alerts[name].fraud for name in covers)
        mistaken = self._rng.random() < (0.005 if fraud else 0.003)
        return "no" if fraud != mistaken else "yes"

    def _hour(self, person: Person) -> float:
        local = datetime.fromtimestamp(self._agenda.now_ms / 1000, ZoneInfo(person.zone))
        return local.hour + local.minute / 60


def _hears(said: Said, agenda: Agenda) -> Callable[[], None]:
    def heard() -> None:
        if said.heard_ms is None:
            said.heard_ms = agenda.now_ms

    return heard
