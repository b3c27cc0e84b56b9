"""A label on Apache Kafka, and the scorers that know of it a moment later: through a learner's end and its beginning anew,
and with none at all."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from installation import Installation
from servers import ApacheKafka, RedisServer

from pipeline.core.features import CATALOGUE
from pipeline.core.scored import decode

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

RUN, SIM, AGE = (
    [feature.name for feature in CATALOGUE].index(name)
    for name in ("terminal_fraud_run", "hours_since_sim_swap", "merchant_age_days")
)
BOUND_S = 30.0


@pytest.fixture
def installation(tmp_path: Path, kafka: ApacheKafka, redis_server: RedisServer) -> Iterator[Installation]:
    small = {"CARDWATCH_LEARNER_WINDOW": "20", "CARDWATCH_LEARNER_SNAPSHOT_SECONDS": "0"}
    made = Installation(tmp_path, kafka.bootstrap, redis_server.url, environment=small)
    yield made
    made.close()


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Till:
    """Pays at one terminal and elsewhere, each time with another card."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.paid = 0

    def pay(self, terminal: str) -> str:
        self.paid += 1
        name = f"p{self.paid}"
        card = f"tok_t_{self.paid:08}"
        self.installation.outside.produce_json(
            "transactions", card,
            {"id": name, "card": card, "time": now(), "amount": 900, "currency": "CNY", "terminal": terminal,
             "customer": "somebody"},
        )  # fmt: skip
        return name

    def label(self, name: str, fraud: bool | None) -> None:
        card = f"tok_t_{int(name[1:]):08}"
        said: dict[str, Any] = {
            "transaction": name,
            "card": card,
            "fraud": fraud,
            "source": "cardholder",
            "time": now(),
        }
        self.installation.outside.produce_json("labels", card, said)
        self.installation.outside.flush()

    def seen(self, name: str, column: int = RUN) -> float:
        """What the scorer knew of the terminal, or of another feature's matter, when it scored this payment."""
        self.installation.outside.flush()
        found: list[float] = []

        def scored(records: list[Any]) -> bool:
            for record in (decode(read.value) for read in records):
                if name in record.ids:
                    found.append(float(record.matrix()[list(record.ids).index(name), column]))
            return bool(found)

        self.installation.outside.wait_for("scored", scored)
        return found[0]

    def until_seen(self, known: bool, column: int = RUN) -> None:
        """Pay at the terminal until the scorers know something of it, or nothing any more."""
        deadline = time.monotonic() + BOUND_S
        while np.isnan(self.seen(self.pay("till"), column)) == known:
            assert time.monotonic() < deadline, "what the learner knows never reached the scorers"


def test_a_label_marks_the_terminal_and_its_withdrawal_after_a_restart_takes_the_mark_away(
    installation: Installation,
) -> None:
    installation.start("scorer")
    installation.start("learner")
    till = Till(installation)
    bad = till.pay("till")
    for _ in range(60):
        till.pay("other")
    installation.outside.wait_for("scored", lambda records: sum(len(decode(one.value).ids) for one in records) == 61)
    till.label(bad, fraud=True)
    till.until_seen(known=True)
    installation.outside.wait_for("control", lambda records: any(one.key == b"model" for one in records))

    installation.stop("learner")
    assert not np.isnan(till.seen(till.pay("till"))), "scorers go on with what they have"
    installation.start("learner")
    till.label(bad, fraud=None)
    till.until_seen(known=False)

    till.label(bad, fraud=True)
    till.until_seen(known=True)
    installation.kill("learner")
    assert not np.isnan(till.seen(till.pay("till")))
    assert np.isnan(till.seen(till.pay("other")))


def test_a_swapped_sim_and_a_tills_age_reach_the_scorers_and_outlive_the_learner(installation: Installation) -> None:
    installation.start("scorer")
    installation.start("learner")
    till, outside = Till(installation), installation.outside
    swapped = {"customer": "somebody", "type": "sim_swapped", "time": now()}
    outside.produce("customer-events", b"somebody", b"not an event")
    outside.produce_json("customer-events", "somebody", swapped)
    till.until_seen(known=True, column=SIM)
    till.until_seen(known=True, column=AGE)
    outside.wait_for("dead-letters", lambda found: len(found) == 1)

    installation.kill("learner")
    installation.start("learner")
    installation.stop("scorer")
    installation.start("scorer")
    first = till.pay("till")
    assert not np.isnan(till.seen(first, SIM)), "a scorer that begins anew reads what was told"
    assert not np.isnan(till.seen(first, AGE))
