"""What `simulate` sends when told only a preset's name."""

from dataclasses import dataclass

from pipeline.lab.simulate.stream import LiveParameters


@dataclass(frozen=True)
class Preset:
    """``days`` of history precede the moment of starting. ``live`` None: send that history, as fast as it is taken;
    else the history is only for warming up, and traffic is sent on the wall clock."""

    cards: int
    days: int
    live: LiveParameters | None


PRESETS = {
    "demo": Preset(cards=8_000, days=30, live=LiveParameters(rate=3.0)),
    "backlog": Preset(cards=5_000, days=30, live=None),
}
