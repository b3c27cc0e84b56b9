"""A whole installation at work, seen by a real Prometheus: every panel draws, every alert can be evaluated, every fixed
name is there, and no label tells whose card it was.

Run by a suite of its own (`.ci/suites`), where Prometheus is installed: without the marks that the other tests here
carry, runs that lack it leave this file out.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from installation import READY_S, ROOT, Installation
from other_system import OtherSystem
from outside import overdue_bill
from prometheus import CONFIG, Prometheus
from prometheus_client.parser import text_string_to_metric_families
from servers import ApacheKafka, RedisServer, program

ROLES = ("scorer", "learner", "contact", "reminder", "archive", "desk", "crm")
WAIT_S = 45.0
SIMULATED = 600
PHONES = {"yes": "+12025550101", "no": "+12025550102", "stranger": None}
"""How three people of this test answer when called; the third is in no directory."""
NAMES: dict[str, dict[str, set[str]]] = {
    "scorer": {
        "transactions_total": {"outcome"},
        "decision_latency_seconds": set(),
        "poll_size": set(),
        "stage_seconds": {"stage"},
        "score": set(),
        "rule_hits_total": {"rule"},
        "model_info": {"version"},
        "model_age_seconds": set(),
        "policy_info": {"version"},
        "checkpoint_seconds": set(),
        "checkpoint_age_seconds": set(),
        "resident_profiles": set(),
        "consumer_lag": {"role", "partition"},
        "dead_letters_total": {"reason"},
        "duplicates_total": set(),
    },
    "learner": {
        "model_info": {"version"},
        "model_age_seconds": set(),
        "consumer_lag": {"role", "partition"},
    },
    "contact": {
        "contact_latency_seconds": {"class"},
        "contacts_total": {"class", "channel", "result"},
        "open_contacts": {"class"},
        "hold_seconds": set(),
        "labels_total": {"source", "fraud"},
        "consumer_lag": {"role", "partition"},
        "dead_letters_total": {"reason"},
        "duplicates_total": set(),
    },
    "reminder": {
        "reminder_requests_total": {"class", "stage"},
        "reminders_withdrawn_total": {"reason"},
        "reminder_due_late_seconds": set(),
        "consumer_lag": {"role", "partition"},
        "dead_letters_total": {"reason"},
    },
    "archive": {"archive_rows_total": {"kind"}, "consumer_lag": {"role", "partition"}},
    "desk": {},
    "crm": {
        "crm_sent_total": {"sink", "result"},
        "crm_lag_seconds": {"sink"},
        "dead_letters_total": {"reason"},
    },
}
"""Names and labels that others' dashboards and alerts are written against, after ``cardwatch_``. What only a drift
watch, a policy breaker or quiet hours could fill (model_drift, breaker_open, contacts_deferred_total) comes with them."""
HAPPENED = {
    "min(count_over_time(up[5m]))": 2,
    "sum(cardwatch_transactions_total)": SIMULATED,
    'cardwatch_transactions_total{outcome="hold"}': len(PHONES),
    'cardwatch_rule_hits_total{rule="card_testing"}': len(PHONES),
    'cardwatch_dead_letters_total{reason="not_json"}': 1,
    'cardwatch_duplicates_total{job="cardwatch-scorer"}': 1,
    "cardwatch_checkpoint_seconds_count": 1,
    "cardwatch_contact_latency_seconds_count": 1,
    "cardwatch_hold_seconds_count": 1,
    'cardwatch_contacts_total{result="completed"}': 2,
    'cardwatch_contacts_total{result="escalated"}': 1,
    'cardwatch_labels_total{fraud="true"}': 1,
    'cardwatch_labels_total{fraud="false"}': 1,
    "cardwatch_learned_total": 1,
    "cardwatch_snapshots_total": 1,
    'cardwatch_archive_rows_total{kind="scored"}': SIMULATED,
    'cardwatch_archive_rows_total{kind="labels"}': 2,
    "cardwatch_desk_live": 1,
    "cardwatch_desk_alerts": len(PHONES),
    'cardwatch_crm_sent_total{sink="webhook",result="taken"}': 10,
    'cardwatch_reminders_withdrawn_total{reason="paid"}': 1,
    "sum(cardwatch_reminder_requests_total)": 1,
}
"""PromQL → at least this much, once the run has shown everything."""
SELECTOR = re.compile(r"\bcardwatch_\w+(?:\{[^}]*\})?")
ANY_OF = re.compile(r'(\w+)=~"([\w|]+)"')
VERSION = re.compile(r"((?:hst|surprise)-|default@)[0-9a-f]{12}(-uncalibrated)?")
LONG_NUMBER = re.compile(r"\d[\d -]{5,}")


class Live(NamedTuple):
    """What runs, and what each role said of itself when everything had happened."""

    prometheus: Prometheus
    said: dict[str, str]
    named: frozenset[str]
    """Whatever the records sent named: cards, customers, merchants, terminals, phones."""
    told: OtherSystem
    """The bank's system that hears of contacts."""
    steps: int
    """How many steps of contacts there were by then."""


def card_of(name: str) -> str:
    return f"tok_t_{name:0>24}"


def feed(installation: Installation) -> None:
    """Simulated traffic; three checks of one card each that the policy holds at the third; a repeat; nonsense."""
    outside = installation.outside
    for name, number in PHONES.items():
        if number is not None:
            card = {"card": card_of(name), "last4": "1234"}
            outside.produce_json("customers", name, {"customer": name, "phones": [{"number": number}], "cards": [card]})
    outside.flush()
    simulate = ["simulate", "--cards", "500", "--rate", "100", "--count", str(SIMULATED)]
    subprocess.run([sys.executable, "-m", "pipeline.cli", *simulate], env=installation.environment, check=True)
    installation.wait_for_directory(len(outside.read("customers")))
    now = time.time()
    for name in PHONES:
        for second in (0, 1, 2, 2):
            sent = {
                "id": f"{name}-{second}",
                "card": card_of(name),
                "customer": name,
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - 5 + second)),
                "amount": 0,
                "currency": "CNY",
                "kind": "verification",
                "entry_mode": "ecommerce",
                "merchant": "shop-of-this-test",
                "merchant_name": "The Shop of this Test",
                "country": "CN",
            }
            outside.produce_json("transactions", card_of(name), sent)
    outside.produce("transactions", card_of("yes").encode(), b"not JSON")
    outside.produce_json("accounts", "ac-late", overdue_bill("ac-late", "nobody-known"))
    outside.flush()
    outside.wait_for("contact-requests", bool)
    paid = {
        "type": "repayment",
        "id": "paid-1",
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "amount": 100_000,
    }
    outside.produce_json("accounts", "ac-late", paid)
    outside.flush()


def named_in(records: list[Any]) -> Iterator[str]:
    """Everything in records that tells a person, a card or a shop."""
    for record in records:
        try:
            message = record.json()
        except ValueError:
            continue
        for field in ("id", "card", "customer", "account", "merchant", "merchant_name", "terminal", "device", "name"):
            if message.get(field):
                yield message[field]
        yield from (phone["number"] for phone in message.get("phones", ()))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, kafka: ApacheKafka, redis_server: RedisServer) -> Iterator[Live]:
    installation = Installation(tmp_path_factory.mktemp("installation"), kafka.bootstrap, redis_server.url)
    installation.environment |= {"CARDWATCH_LEARNER_WINDOW": "100", "CARDWATCH_LEARNER_SNAPSHOT_SECONDS": "1"}
    told = OtherSystem()
    installation.environment |= {"CARDWATCH_CRM_WEBHOOK_URL": told.url, "CARDWATCH_CRM_WEBHOOK_SECRET": told.secret}
    prometheus = None
    try:
        suffixes = [word for name, number in PHONES.items() if number for word in ("--suffix", f"{number}={name}")]
        installation.start_telephony("--behaviour", "silence", *suffixes)
        for role in ROLES:  # all at once: each takes seconds to import what it needs
            installation.launch(role)
        prometheus = Prometheus(
            tmp_path_factory.mktemp("prometheus"), {role: installation.ports[role] for role in ROLES}
        )
        prometheus.start()
        everywhere = {f'count_over_time((up{{job="cardwatch-{role}"}} == 1)[5m:1s])': 2.0 for role in ROLES}
        lags = {f'count(cardwatch_consumer_lag{{role="{role}"}})': 1.0 for role in ("scorer", "contact", "reminder")}
        prometheus.wait_for(everywhere | lags, READY_S)
        feed(installation)
        prometheus.wait_for(HAPPENED, WAIT_S)
        said = {role: installation.metrics(role) for role in ROLES}
        steps = len(installation.outside.read("contacts"))
        records = [*installation.outside.read("transactions"), *installation.outside.read("customers")]
        yield Live(prometheus, said, frozenset(named_in(records)), told, steps)
    finally:
        if prometheus is not None:
            prometheus.stop()
        installation.close()
        told.close()


def promtool(*words: str, text: str | None = None) -> None:
    done = subprocess.run([program("promtool"), *words], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


def test_every_panel_has_something_to_draw(live: Live) -> None:
    dashboard = json.loads((ROOT / "config" / "grafana" / "cardwatch.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(queries) > 20
    assert not [query for query in queries if "$" in query], "no variable but the data source"
    assert [query for query in queries if not live.prometheus.drawn(query)] == []


def test_every_alert_is_evaluated_over_series_that_exist_and_none_fires(live: Live) -> None:
    rules = live.prometheus.rules()
    assert len(rules) == (CONFIG / "alerts.yml").read_text().count("- alert:")
    assert [rule for rule in rules if rule["health"] != "ok" or rule["state"] == "firing"] == []
    asked = {selector for rule in rules for selector in SELECTOR.findall(rule["query"])}
    for selector in list(asked):
        for alternatives in ANY_OF.finditer(selector):
            asked |= {
                selector.replace(alternatives[0], f'{alternatives[1]}="{one}"') for one in alternatives[2].split("|")
            }
    assert [selector for selector in sorted(asked) if not live.prometheus.drawn(selector)] == []


@pytest.mark.parametrize("role", ROLES)
def test_promtool_finds_nothing_wrong_with_what_a_role_says(live: Live, role: str) -> None:
    assert "cardwatch_" in live.said[role]
    promtool("check", "metrics", text=live.said[role])


def test_another_system_hears_of_every_step_signed_and_without_a_number(live: Live) -> None:
    live.told.wait_for(live.steps, "contact.step", WAIT_S)
    assert live.told.unsigned == 0
    bodies = b"".join(live.told.events.values()).decode()
    assert not [number for number in PHONES.values() if number and number[1:] in bodies]
    assert "tok_" not in bodies
    assert {step["step"] for step in live.told.of("contact.step")} >= {"planned", "answered", "completed"}


@pytest.mark.parametrize("role", ROLES)
def test_the_fixed_names_are_there_with_their_labels(live: Live, role: str) -> None:
    labels = {
        re.sub("_(bucket|sum|count)$", "", sample.name): set(sample.labels) - {"le"}
        for family in text_string_to_metric_families(live.said[role])
        for sample in family.samples
    }
    fixed = {f"cardwatch_{name}": names for name, names in NAMES[role].items()}
    assert {name: labels.get(name) for name in fixed} == fixed


@pytest.mark.parametrize("role", ROLES)
def test_no_label_tells_a_card_a_person_or_a_shop(live: Live, role: str) -> None:
    assert {card_of("yes"), "shop-of-this-test", PHONES["yes"]} <= live.named
    assert "tok_" not in live.said[role]
    values = {
        value
        for family in text_string_to_metric_families(live.said[role])
        for sample in family.samples
        for label, value in sample.labels.items()
        if label != "le" and not (label == "version" and VERSION.fullmatch(value))
    }
    assert values & live.named == set()
    assert [value for value in values if LONG_NUMBER.search(value)] == []


def test_promtool_accepts_configuration_and_alerts() -> None:
    for words in (("rules", "alerts.yml"), ("config", "prometheus.yml"), ("config", "prometheus.compose.yml")):
        promtool("check", words[0], str(CONFIG / words[1]))
