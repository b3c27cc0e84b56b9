"""The policy that ships: it reads, every reason has words in both languages, it hits what it means to hit, and
ordinary transactions and young cards pass."""

from pathlib import Path

import pytest
from policy_texts import columns

from pipeline.core.columns import SCHEMA
from pipeline.core.decide import decide
from pipeline.core.decision import Outcome
from pipeline.core.grounds import GROUPS
from pipeline.core.policy import parse_policy
from pipeline.core.words import check_words, parse_words

CONFIG = Path(__file__).parents[2] / "config"
NAN = float("nan")
HABITS = ("amount_ratio", "amount_z", "count_24h_ratio", "sum_24h_ratio", "new_merchant", "new_country", "new_mcc",
          "new_entry_mode", "entry_mode_rare", "hour_rarity")  # fmt: skip

ORDINARY = {name: None if kind == "text" else NAN for name, kind in SCHEMA.items()} | {
    "score": 0.0005, "percentile": 60.0, "amount": 8_000.0, "amount_ratio": 1.2, "amount_z": 0.2, "count_1m": 1.0,
    "count_10m": 1.0, "count_1h": 1.4, "count_24h": 2.5, "count_7d": 14.0, "sum_1m": 8e3, "sum_10m": 8e3,
    "sum_1h": 9e3, "sum_24h": 2e4, "sum_7d": 1e5, "count_24h_ratio": 0.9, "sum_24h_ratio": 0.9, "cash_count_24h": 0.0,
    "cash_count_7d": 0.2, "is_cash": 0.0, "new_merchant": 0.0, "new_country": 0.0, "new_mcc": 0.0,
    "new_entry_mode": 0.0, "entry_mode_rare": 0.1, "hour_rarity": 0.1, "seconds_since_last": 3e4, "km_from_last": 4.0,
    "speed_kmh": 3.0, "declines_1h": 0.0, "declines_24h": 0.0, "card_checks_1h": 0.0, "abroad": 0.0,
    "transactions_seen": 200.0, "days_known": 90.0, "type": "authorisation", "kind": "purchase",
    "entry_mode": "contactless", "currency": "CNY", "country": "CN", "mcc": "5411",
}  # fmt: skip


@pytest.fixture(scope="module")
def words():
    return {
        language: parse_words((CONFIG / "messages" / language / "reasons.toml").read_text(), language, SCHEMA)
        for language in ("en", "zh-CN")
    }


@pytest.fixture(scope="module")
def policy(words):
    text = (CONFIG / "policies" / "default.toml").read_text()
    return parse_policy(text, "default.toml", SCHEMA, set(words["en"].sentences))


def judge(policy, **row):
    return decide(policy, columns(row, schema=SCHEMA, quiet=ORDINARY), 1)


def test_every_reason_has_words_in_both_languages_and_none_is_idle(policy, words):
    assert check_words(policy, words) == []
    used = {each.reason for each in (*policy.thresholds, *policy.rules, *policy.explanations)} | set(GROUPS)
    assert all(set(each.sentences) == used for each in words.values())


EXAMPLES = {
    "impossible_travel": {"speed_kmh": 4000, "km_from_last": 2000},
    "magstripe_after_chip": {"entry_mode": "magstripe", "abroad": 1, "new_country": 1, "entry_mode_rare": 0.97},
    "first_cash_abroad": {"is_cash": 1, "abroad": 1, "new_country": 1, "amount": 3e5, "cash_count_24h": 1.9},
    "new_country_spree": {"abroad": 1, "new_country": 1, "new_merchant": 1, "amount_ratio": 7, "count_1h": 3},
    "stolen_card_used": {"reported_stolen": 1},
    "lost_card_used": {"reported_lost": 1},
    "card_testing": {"card_checks_1h": 2.8, "entry_mode": "ecommerce", "amount": 0},
    "small_attempts": {"count_10m": 5, "declines_1h": 2, "sum_10m": 4000, "entry_mode": "ecommerce"},
    "large_after_checks": {"card_checks_1h": 0.7, "declines_1h": 0.8, "new_merchant": 1, "amount_ratio": 8,
                           "amount": 1.2e5, "entry_mode": "ecommerce"},
    "security_code_wrong": {"cvv_result": "N", "count_1h": 3, "declines_1h": 2, "new_merchant": 1},
    "declines_then_approval": {"declines_1h": 2.8, "amount": 2e5, "amount_ratio": 9, "new_merchant": 1},
    "many_declines": {"declines_1h": 5},
    "cash_out": {"is_cash": 1, "cash_count_24h": 3.9, "count_1h": 3.8, "sum_24h": 1e6, "sum_24h_ratio": 9},
    "cash_burst": {"is_cash": 1, "cash_count_24h": 2.9, "cash_count_7d": 3, "count_10m": 2, "sum_1h": 6e5,
                   "amount_ratio": 10},
    "cash_at_odd_hour": {"is_cash": 1, "hour_rarity": 0.95, "amount_ratio": 20, "amount": 4e5},
    "sudden_large_spend": {"amount_ratio": 40, "amount_z": 6, "amount": 2e6, "new_merchant": 1, "new_mcc": 1},
    "large_online_unauthenticated": {"entry_mode": "ecommerce", "new_merchant": 1, "amount_ratio": 20, "amount_z": 4,
                                     "amount": 9e5},
    "spree": {"count_1h": 5, "count_24h_ratio": 5, "sum_1h": 9e5, "sum_24h_ratio": 12, "new_merchant": 1},
    "rapid_fire": {"count_1m": 3.8, "sum_1m": 5e5, "new_merchant": 1, "declines_1h": 1},
    "resaleable_goods_at_odd_hour": {"mcc": "5944", "new_mcc": 1, "hour_rarity": 0.95, "amount_ratio": 9,
                                     "amount": 3e5},
    "manual_entry_large": {"entry_mode": "manual", "new_entry_mode": 1, "amount_ratio": 6, "amount": 3e5},
    "new_card_large_online": {"transactions_seen": 2, "days_known": 1, "sum_24h": 3e6, "entry_mode": "ecommerce",
                              **dict.fromkeys(HABITS, NAN)},
    "bust_out": {"available_credit": 1e5, "amount": 1e6, "sum_24h_ratio": 20, "count_24h_ratio": 5, "sum_24h": 3e6},
}  # fmt: skip


def test_every_rule_hits_what_it_is_for_and_is_said_in_words(policy, words):
    assert set(EXAMPLES) == {rule.name for rule in policy.rules}
    for name, example in EXAMPLES.items():
        found = judge(policy, **example)
        assert name in found.rule_hits, name
        assert found.outcome[0] >= Outcome.review
        for reason in found.reasons(0):
            for language in words.values():
                said = language.say(reason)
                assert said != reason.code
                assert not set("[]{}") & set(said)


def test_ordinary_transactions_pass(policy):
    for change in (
        {},
        {"entry_mode": "ecommerce", "new_merchant": 1.0, "amount_ratio": 4.0, "hour_rarity": 0.9},
        {"is_cash": 1.0, "cash_count_24h": 1.0, "cash_count_7d": 1.3, "amount": 3e5, "amount_ratio": 30.0},
        {"recurring": 1.0, "initiator": "merchant", "entry_mode": "stored", "seconds_since_last": 5.0},
        {"abroad": 1.0, "new_country": 1.0, "new_merchant": 1.0, "amount_ratio": 3.0, "km_from_last": 2e3,
         "speed_kmh": 600.0},
    ):  # fmt: skip
        assert judge(policy, **change).outcome.tolist() == [Outcome.approve], change


def test_a_young_card_is_not_alerted_for_being_new(policy):
    young = dict.fromkeys(HABITS, NAN) | {"days_known": 0.0, "seconds_since_last": NAN, "km_from_last": NAN}
    for seen in (0.0, 1.0, 4.0):
        for mode in ("chip", "ecommerce", "magstripe"):
            found = judge(policy, **young, transactions_seen=seen, entry_mode=mode, abroad=1.0, amount=4e5, sum_24h=4e5)
            assert found.outcome.tolist() == [Outcome.approve]


def test_a_transaction_of_which_nothing_is_known_passes(policy):
    nothing = {name: None if kind == "text" else NAN for name, kind in SCHEMA.items()}
    assert judge(policy, **nothing).outcome.tolist() == [Outcome.approve]
