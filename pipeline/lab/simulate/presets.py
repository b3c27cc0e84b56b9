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
    # So many cards that their month (130,000 transactions) is scored in some 15 s, and that each still pays seldom
    # enough to be itself: at twice the rate, cards look busy, and genuine holders are called more and more often.
    # Measured over half an hour and two seeds: the first call after 15-32 s, then two to three a minute.
    "demo": Preset(
        cards=3_000,
        days=30,
        live=LiveParameters(rate=2.0, fraud_every_s=(25.0, 65.0), opening=5, opening_s=15.0),
    ),
    # Prepared in a few seconds, and thieves all the time: for trying things out.
    "busy": Preset(
        cards=600,
        days=30,
        live=LiveParameters(rate=2.0, fraud_every_s=(4.0, 10.0), opening=5, opening_s=10.0),
    ),
    "backlog": Preset(cards=5_000, days=30, live=None),
}
