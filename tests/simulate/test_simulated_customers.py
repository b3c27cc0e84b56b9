"""The directory: reachable only on numbers kept for fiction, and with gaps like a real one's."""

import re

import msgspec

from pipeline.core.records import Customer
from pipeline.lab.simulate.customers import customers, fictional_number
from pipeline.lab.simulate.world import World

NOW = 1_790_000_000.0


def test_numbers_are_kept_for_fiction_and_differ() -> None:
    numbers = [fictional_number(place) for place in range(20_000)]
    assert len(set(numbers)) == len(numbers)
    assert all(re.fullmatch(r"\+1[2-9]\d\d55501\d\d", number) for number in numbers)


def test_the_directory_has_gaps() -> None:
    world = World(1, 2000, NOW)
    people = list(customers(world))
    assert len({person.customer for person in people}) == len(people)
    assert any(not person.phones for person in people)
    assert {person.language for person in people} == {"zh-CN", "en"}
    listed = {card.card: person.customer for person in people for card in person.cards}
    holders = [world.cardholders.get(index) for index in range(world.cards)]
    assert any(holder.token not in listed for holder in holders)
    assert all(listed.get(holder.token) == holder.customer for holder in holders)
    assert any(len(person.cards) == 2 for person in people)
    assert all(card.last4 and len(card.last4) == 4 for person in people for card in person.cards)


def test_the_directory_is_repeatable_and_readable() -> None:
    first = [msgspec.json.encode(person) for person in customers(World(1, 300, NOW))]
    assert first == [msgspec.json.encode(person) for person in customers(World(1, 300, NOW))]
    assert [msgspec.json.decode(value, type=Customer) for value in first] == list(customers(World(1, 300, NOW)))
