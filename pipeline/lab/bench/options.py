"""How much is measured: the sizes of each part, for a real run and for a short one that only shows that all works."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import msgspec

PartName = Literal["backlog", "latency", "state", "scaling"]
PARTS: tuple[PartName, ...] = get_args(PartName)

OURS = "cardwatch"
RELAY = "relay-aiokafka"
LIBRDKAFKA = "relay-librdkafka"
FAUST_RELAY = "relay-faust"
PLAIN = "plain-faust"
QUIX = "quix"
TITLES: Mapping[str, str] = {
    RELAY: "aiokafka relay, no work",
    LIBRDKAFKA: "librdkafka relay, no work",
    FAUST_RELAY: "Faust, one event a poll, no model",
    PLAIN: "plain Faust + Table + River",
    QUIX: "Quix Streams + state + River",
    OURS: "Cardwatch",
}
"""Every program, in the order in which a round runs them."""


REFERENCES = tuple(program for program in TITLES if program != OURS)


class Sizes(msgspec.Struct, frozen=True):
    """``backlog`` transactions by program; ``warm`` transactions before latencies are read; ``seconds`` of each rate;
    the state's ``cards`` few and many; ``takeover_cards`` between two workers, with
    ``many_takeover`` the many cards too, watched for ``killed_s`` and ``asked_s`` after one goes; ``scaling`` transactions a process."""

    backlog: dict[str, int]
    warm: int
    seconds: float
    stream_cards: int
    trained_on: int
    few_cards: int
    many_cards: int
    takeover_cards: int
    many_takeover: bool
    state_transactions: int
    killed_s: float
    asked_s: float
    scaling: int


LONG = Sizes(
    backlog={RELAY: 500_000, LIBRDKAFKA: 500_000, FAUST_RELAY: 500_000, PLAIN: 50_000, QUIX: 200_000, OURS: 500_000},
    warm=20_000,
    seconds=8.0,
    stream_cards=20_000,
    trained_on=200_000,
    few_cards=10_000,
    many_cards=1_000_000,
    takeover_cards=250_000,
    many_takeover=True,
    state_transactions=200_000,
    killed_s=15.0,
    asked_s=8.0,
    scaling=200_000,
)
SHORT = Sizes(
    backlog={RELAY: 5_000, LIBRDKAFKA: 5_000, FAUST_RELAY: 5_000, PLAIN: 1_000, QUIX: 2_000, OURS: 5_000},
    warm=1_000,
    seconds=1.0,
    stream_cards=1_000,
    trained_on=4_000,
    few_cards=500,
    many_cards=3_000,
    takeover_cards=1_000,
    many_takeover=False,
    state_transactions=2_000,
    killed_s=7.0,
    asked_s=3.0,
    scaling=6_000,
)


class Options(msgspec.Struct, frozen=True):
    """What a run was asked for. ``programs`` besides ours; ``cache`` is where Quix's environment is kept."""

    parts: tuple[PartName, ...]
    rounds: int
    sizes: Sizes
    rates: tuple[float, ...]
    programs: tuple[str, ...]
    cache: Path


def options_for(
    part: str,
    rounds: int,
    short: bool,
    rates: str,
    minutes: float | None,
    cards: int | None,
    without: Sequence[str],
    cache: Path | None,
) -> Options:
    """From the words of the command line. Raises ValueError for ``rates`` that are no list of numbers above 0."""
    try:
        wanted = tuple(float(rate) for rate in rates.split(","))
    except ValueError:
        wanted = ()
    if not wanted or min(wanted) <= 0 or len(set(wanted)) < len(wanted):
        raise ValueError(f"--rates {rates}: give different numbers above 0 with commas between, as in 200,1000")
    sizes = SHORT if short else LONG
    if minutes is not None:
        sizes = msgspec.structs.replace(sizes, seconds=minutes * 60)
    if cards is not None:
        sizes = msgspec.structs.replace(sizes, many_cards=cards)
    return Options(
        parts=PARTS if part == "all" else tuple(each for each in PARTS if each == part),
        rounds=rounds,
        sizes=sizes,
        rates=wanted,
        programs=tuple(program for program in REFERENCES if program not in without),
        cache=cache or default_cache(),
    )


def default_cache() -> Path:
    """Where programs keep what can be made again (XDG base directories)."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "cardwatch" / "bench"
