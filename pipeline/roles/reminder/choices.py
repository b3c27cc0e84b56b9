"""Whose card it is, and what its holder chose to be told: the whole topic ``customers`` in memory, read by every worker.

A customer whose record says nothing special about notices takes no room beyond their cards.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from pipeline.core.card_owners import CardOwners
from pipeline.core.customer_activity import card_key
from pipeline.core.entities import digest_of
from pipeline.core.notices import Choice, choice_of
from pipeline.core.records import Customer
from pipeline.ports import Record, WholeReader
from pipeline.roles.reminder.whole_topic import follow_whole

_decoder = msgspec.json.Decoder(Customer)


class Choices:
    """``known`` is set once all is read that the topic held at the start: before it nobody may be passed over."""

    def __init__(self) -> None:
        self.known = asyncio.Event()
        self._owners = CardOwners()
        self._choices: dict[bytes, Choice] = {}
        self._cards: dict[bytes, tuple[int, ...]] = {}

    async def follow(self, reader: WholeReader, ended: Callable[[], bool]) -> None:
        """Read the topic from its beginning, and go on until ``ended``. Raises what the reader raises."""
        await follow_whole(reader, self.take, self.known.set, ended)

    def take(self, records: Sequence[Record]) -> None:
        """Records of the topic, the newest of a customer last. What is no customer is left to the contact role, which says
        so."""
        for record in records:
            self._take(record)

    def _take(self, record: Record) -> None:
        name = record.key or b""
        if record.value is None:
            self._cards.pop(name, None)
            self._choices.pop(name, None)
            return
        try:
            customer = _decoder.decode(record.value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        name = customer.customer.encode()
        cards = tuple(card_key(digest_of(held.card)) for held in customer.cards)
        self._cards[name] = cards
        for card in cards:
            self._owners.note(card, name, self._cards)
        choice = choice_of(customer)
        if choice == _plain(choice):
            self._choices.pop(name, None)
        else:
            self._choices[name] = choice

    async def all_known(self) -> None:
        """Returns once `known` is set."""
        await self.known.wait()

    def of(self, card: str, customer: str | None = None) -> Choice | None:
        """Of the ``customer`` if one is named, else of the card's holder; None: nobody known."""
        key = card_key(digest_of(card))
        name = customer.encode() if customer else self._owners.of(key)
        cards = self._cards.get(name) if name is not None else None
        if name is None or cards is None or (customer is None and key not in cards):
            return None
        return self._choices.get(name) or Choice(name.decode(), None, False, False, None, frozenset(), None, None)


def _plain(choice: Choice) -> Choice:
    """What is not worth keeping: no choice, by the bank's clock."""
    return Choice(choice.customer, None, False, False, None, frozenset(), None, None)
