"""Customers who are reminded: who reads or picks up, and what they do then. They pay, promise and keep it or do not, say
that they have paid, say STOP, or are the wrong person."""

import random
from collections.abc import Mapping
from typing import NamedTuple

from pipeline.ports_channels import CallOrder, MessageOrder
from simulated_year.agenda import Agenda
from simulated_year.cardholders import Bank, Cardholders, Holder
from simulated_year.carriers import Order
from simulated_year.dunning_evidence import DunningEvidence, Spoken
from simulated_year.lender import Lender

PAYS: Mapping[str, float] = {"reminder": 0.35, "collection": 0.25}
"""Chance that somebody who waits to be told pays after a message of that class; a call moves them more."""
CALL_MOVES = 1.6
STRANGER_SPEAKS = 0.4
KEYS = {"promise": "1", "already_paid": "2", "agent": "0", "stop": "9", "none": "7"}
TEXTS: Mapping[str, tuple[str, ...]] = {
    "promise": ("I'll pay tomorrow", "paying friday", "I will pay"), "already_paid": ("paid", "I have already paid"),
    "stop": ("STOP",), "none": ("ok", "who is this?"), "agent": ("HELP",),
}  # fmt: skip
CHINESE: Mapping[str, tuple[str, ...]] = {
    "promise": ("明天还", "周五还款"), "already_paid": ("已还", "已经还款"), "stop": ("退订",), "none": ("好",), "agent": ("人工",),
}  # fmt: skip


class Reaction(NamedTuple):
    """``word``: what is said, if anything; ``pays_days``: after how long they pay ``share`` of what is due, None: never."""

    word: str | None
    pays_days: float | None = None
    share: float = -1.0


class Debtors(Cardholders):
    """Everybody at the other end of the carriers' lines."""

    def __init__(
        self, agenda: Agenda, rng: random.Random, evidence: DunningEvidence, bank: Bank, lender: Lender
    ) -> None:
        super().__init__(agenda, rng, evidence, bank)
        self._heard = evidence
        self._lender = lender

    def asked(self, order: Order) -> None:
        contact, _, number = order.key.split(":")
        channel, text = ("voice", order.say) if isinstance(order, CallOrder) else (order.channel, order.text)
        self._heard.spoken.append(Spoken(self._agenda.now_ms, contact, int(number), channel, order.to, text))
        super().asked(order)

    def _arrives(self, order: MessageOrder, holder: Holder) -> None:
        rng = self._rng
        if holder.number.who == "nobody" or rng.random() < 0.015:
            self._status(self.sms, order.key, rng.uniform(5, 60), "undelivered")
            return
        self._status(self.sms, order.key, rng.uniform(1, 8), "delivered")
        if holder.number.who == "customer" and rng.random() < 0.9:
            self._agenda.after(10 + self._until_read(holder.person), lambda: self._replies(order, holder))

    async def _replies(self, order: MessageOrder, holder: Holder) -> None:
        reaction = self._reaction(order, "sms")
        contact, _, number = order.key.split(":")
        if reaction.word is None:
            return
        said = self._say(contact, int(number), order.reference, reaction.word, "sms", "sms", holder)
        words = CHINESE if holder.person.language.startswith("zh") else TEXTS
        text = self._rng.choice(words[reaction.word])
        self._texts += 1
        name = f"m{self._texts}"

        def heard() -> None:
            said.heard_ms = said.heard_ms or self._agenda.now_ms

        times = 2 if self._rng.random() < 0.02 else 1
        for _ in range(times):
            self._later(self._rng.uniform(1, 6), lambda: self._bank.reply(order.to, text, name, heard))

    def _spoken(self, order: CallOrder, holder: Holder, after_s: float) -> None:
        stranger = holder.number.who != "customer"
        if self._rng.random() < (1 - STRANGER_SPEAKS if stranger else 0.1):
            self._ends(order, after_s / 2, "hung_up")
            return
        contact, _, number = order.key.split(":")

        async def speaks() -> None:
            if stranger:
                self._ends(order, 0.0, "completed", "0")
                self._says_wrong_person(order, contact, int(number), holder)
                return
            reaction = self._reaction(order, "voice")
            if reaction.word is None:
                self._ends(order, 0.0, "hung_up")
                return
            said = self._say(contact, int(number), order.reference, reaction.word, "voice", "voice", holder)

            def heard() -> None:
                said.heard_ms = said.heard_ms or self._agenda.now_ms

            self._ends(order, 0.0, "completed", KEYS[reaction.word], heard)

        self._agenda.after(after_s, speaks)

    # --- what it moves them to

    def _reaction(self, order: Order, channel: str) -> Reaction:
        """What they say; what they decide to pay is paid later."""
        said: str | None = None
        for name in dict.fromkeys(order.reference):
            bill, _, stage = name.rpartition("/")
            account = bill.rpartition("-")[0]
            if account not in self._lender.books or stage.startswith("thanks") or not self._lender.owed(account):
                continue
            reaction = self._moved(account, "collection" if stage.startswith("m") else "reminder", channel)
            said = said or reaction.word
            if reaction.pays_days is not None:
                self._lender.pays_after(account, reaction.pays_days * 86_400, reaction.share)
        return Reaction(said)

    def _moved(self, account: str, class_: str, channel: str) -> Reaction:
        rng = self._rng
        chance = PAYS[class_] * (CALL_MOVES if channel == "voice" else 1.0)
        if rng.random() < 0.004:
            return Reaction(rng.choice(["stop", "none", "agent"]))
        match self._lender.books[account].trait:
            case "promiser" if rng.random() < 0.7:
                if rng.random() < 0.6:
                    return Reaction("promise", rng.uniform(0.2, 1.5))
                return Reaction("promise", rng.uniform(6, 20) if rng.random() < 0.7 else None)
            case "says_paid" if rng.random() < 0.5:
                return Reaction("already_paid", rng.uniform(0.05, 1) if rng.random() < 0.5 else None)
            case "never":
                return Reaction(None)
            case "partial" if rng.random() < chance:
                return Reaction(None, rng.uniform(0.01, 2), rng.choice([-0.5, -1.0]))
            case _ if rng.random() < chance:
                return Reaction(None, rng.choice([0.003, 0.05, 0.5, 1.5]) * rng.uniform(0.5, 1.5))
        return Reaction(None)
