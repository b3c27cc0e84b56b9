"""What a scorer was told of merchants and customers stands in `scored` as it was used, whatever the size of the poll."""

import numpy as np
from scorer_world import (
    NOW,
    card_in,
    delivered_curve,
    delivered_money,
    delivered_policy,
    place_of,
    records,
    trained_on_noise,
    transaction,
)

from models.scorer import Model
from pipeline.core.customer_history import EMPTY, Event, observe
from pipeline.core.customer_table import CustomerTable
from pipeline.core.entities import digest_of
from pipeline.core.features import CATALOGUE, CUSTOMER_FEATURES, FEATURES, MERCHANT_FEATURES
from pipeline.core.merchant_ledger import MerchantLedger
from pipeline.core.merchant_table import MerchantTable
from pipeline.core.poll import Part, Versions
from pipeline.core.scored import decode
from pipeline.core.scoring import score_poll
from pipeline.core.told import Told

CARD = card_in(0)
NAMES = [feature.name for feature in CATALOGUE]


def versions() -> Versions:
    ledger, merchants, customers = MerchantLedger(), MerchantTable(), CustomerTable()
    own = np.full((30, len(FEATURES)), 5_000.0)
    shop, nobody = np.full(30, digest_of("shop"), np.uint64), np.zeros(30, np.uint64)
    ledger.observe(shop, nobody, NOW - 86_400 + np.arange(30.0), own)
    for told in ledger.tellings(1, {}):
        merchants.take(told)
    start, end = int(NOW - 86_400), int(NOW + 86_400)
    row = observe(observe(EMPTY, Event(1, int(NOW - 7_200))), Event(5, start, start, end, ("FR",)))
    customers.take(Told("customers", 1, 1, None, {digest_of("acc-1"): row}, {}))
    model = Model.trained(trained_on_noise(), delivered_curve())
    return Versions(delivered_policy(), model, delivered_money(), merchants=merchants, customers=customers)


MESSAGES = [
    transaction("a", CARD, merchant="shop", account="acc-1", country="FR"),
    transaction("b", CARD, at=NOW + 1, merchant=None, terminal="shop", account="acc-1", country="DE"),
    transaction("c", CARD, at=NOW + 2, merchant="another", terminal="shop", customer="cust-1", account="acc-1"),
]


def matrix(size: int) -> np.ndarray:
    """As recorded when polls had so many records."""
    world, rows, found = versions(), {}, []
    for start in range(0, len(MESSAGES), size):
        part = Part(0, records(start, MESSAGES[start : start + size]), rows, {})
        (record,) = score_poll([part], world, place_of, NOW, lambda: 0.0).scored[0]
        found.append(decode(record.value).matrix())
    return np.concatenate(found)


def test_they_stand_in_their_columns() -> None:
    seen = {name: column.tolist() for name, column in zip(NAMES, matrix(3).T, strict=True)}
    assert [round(days, 2) for days in seen["merchant_age_days"][:2]] == [1, 1]
    assert np.isfinite([seen[feature.name][:2] for feature in MERCHANT_FEATURES]).all(), (
        "a terminal, where no merchant is"
    )
    assert np.isnan([seen[feature.name][2] for feature in MERCHANT_FEATURES]).all()
    assert [round(hours, 2) for hours in seen["hours_since_sim_swap"][:2]] == [2, 2]
    assert seen["travel_notice"][:2] == [1, 0]
    assert np.isnan([seen[feature.name][2] for feature in CUSTOMER_FEATURES]).all(), "the customer before the account"


def test_a_poll_of_all_and_polls_of_one_see_the_same_to_the_bit() -> None:
    assert matrix(3).tobytes() == matrix(1).tobytes()
