"""Encrypted servers that ask who is there: every role works with the rights that the operations manual gives it and no
others, and whoever is turned away is told so in one sentence.

The manual is read: its table becomes Kafka's ACLs, its ``ACL SETUSER`` lines become Redis's users.
"""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from installation import ROOT, Installation
from outside import first_of_each, overdue_bill
from secured import Authority, SecuredKafka, SecuredRedis
from test_loop import card_checks, card_of, customer

from pipeline.adapters.kafka.admin import create_topics
from pipeline.adapters.kafka.log import KafkaLog
from pipeline.app.admission import NotAdmitted, admitted
from pipeline.ports import BrokerDown
from pipeline.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.redis]

MANUAL = (ROOT / "docs" / "en" / "operations.md").read_text()
SECRET = "s3cret-of-{}"
WRONG = "s3cret-but-wrong"
COMMANDS = ("setup", "scorer", "learner", "contact", "reminder", "desk")
"""The users; ``setup`` creates topics."""
CARDS = 40


class Servers(NamedTuple):
    kafka: SecuredKafka
    redis: SecuredRedis
    authority: Authority
    stranger: Authority
    certificates: Mapping[str, tuple[Path, Path]]


def redis_rules() -> dict[str, str]:
    """Role → rule, from the manual."""
    return dict(re.findall(r"^ACL SETUSER (\w+) on >PASSWORD (.+)$", MANUAL, re.MULTILINE))


def kafka_rights() -> Iterator[tuple[str, str, str, str]]:
    """Role, what it reads, writes, and its groups, from the manual."""
    return iter(
        re.findall(r"^\| `(scorer|learner|contact|reminder|desk)` \| (.*) \| (.*) \| (.*) \|$", MANUAL, re.MULTILINE)
    )


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, kafka_libs: Path) -> Iterator[Servers]:
    directory = tmp_path_factory.mktemp("secured")
    authority, stranger = Authority(directory / "bank"), Authority(directory / "stranger")
    passwords = {name: SECRET.format(name) for name in COMMANDS}
    kafka = SecuredKafka(directory / "kafka", kafka_libs, authority, passwords, {"contact": SECRET.format("plain")})
    prefix = "~i*."  # the installations of these tests; their names come later
    rules = [
        f"user {role} on >{SECRET.format(role)} {rule.replace('~', prefix)}" for role, rule in redis_rules().items()
    ]
    poor = redis_rules()["contact"].replace("~", prefix).replace(" +zadd", "").replace(" +hlen", "")
    redis = SecuredRedis(directory / "redis", authority, [*rules, f"user poor on >{SECRET.format('poor')} {poor}"])
    try:
        kafka.start()
        redis.start()
        certificates = {name: authority.issue(name) for name in ("scorer", "learner")}
        yield Servers(kafka, redis, authority, stranger, certificates)
    finally:
        redis.stop()
        kafka.stop()


def over_sasl(servers: Servers, user: str, mechanism: str = "SCRAM-SHA-512", password: str = "") -> dict[str, str]:
    return {
        "CARDWATCH_KAFKA_BOOTSTRAP": servers.kafka.sasl,
        "CARDWATCH_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "CARDWATCH_KAFKA_SASL_MECHANISM": mechanism,
        "CARDWATCH_KAFKA_SASL_USERNAME": user,
        "CARDWATCH_KAFKA_SASL_PASSWORD": password or SECRET.format(user),
        "CARDWATCH_KAFKA_SSL_CA": str(servers.authority.certificate),
    }


def by_certificate(servers: Servers, user: str) -> dict[str, str]:
    certificate, key = servers.certificates[user]
    return {
        "CARDWATCH_KAFKA_BOOTSTRAP": servers.kafka.tls,
        "CARDWATCH_KAFKA_SECURITY_PROTOCOL": "SSL",
        "CARDWATCH_KAFKA_SSL_CA": str(servers.authority.certificate),
        "CARDWATCH_KAFKA_SSL_CERTIFICATE": str(certificate),
        "CARDWATCH_KAFKA_SSL_KEY": str(key),
    }


def of_redis(servers: Servers, user: str) -> dict[str, str]:
    return {"CARDWATCH_REDIS_URL": servers.redis.url_of(user, SECRET.format(user))}


@pytest.fixture
def installation(servers: Servers, tmp_path: Path) -> Iterator[Installation]:
    allow(servers, [may("setup", ResourceType.TOPIC, "i", AclOperation.CREATE, ResourcePatternType.PREFIXED)])
    made = Installation(tmp_path, servers.kafka.bootstrap, servers.redis.url, environment=over_sasl(servers, "setup"))
    allow(
        servers,
        [
            may(role, kind, made.prefix + name, operation)
            for role, reads, writes, groups in kafka_rights()
            for kind, names, operation in (
                (ResourceType.TOPIC, reads, AclOperation.READ),
                (ResourceType.TOPIC, writes, AclOperation.WRITE),
                (ResourceType.GROUP, groups, AclOperation.READ),
            )
            for name in re.findall(r"`([\w-]+)`", names)
        ],
    )
    yield made
    made.close()


def may(
    user: str,
    kind: ResourceType,
    name: str,
    operation: AclOperation,
    pattern: ResourcePatternType = ResourcePatternType.LITERAL,
) -> AclBinding:
    return AclBinding(kind, name, pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW)


def allow(servers: Servers, rules: list[AclBinding]) -> None:
    admin = AdminClient({"bootstrap.servers": servers.kafka.bootstrap})  # its answers end with it
    for done in admin.create_acls(rules).values():
        done.result(20)


def payments(count: int) -> list[dict[str, object]]:
    """One for each card: more than enough for every partition to get some."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return [
        {"id": f"p{number}", "card": f"tok_p_{number:012}", "time": now, "amount": 4_200, "currency": "CNY"}
        for number in range(count)
    ]


def test_every_role_works_with_the_rights_of_the_manual_over_tls(servers: Servers, installation: Installation) -> None:
    contact = over_sasl(servers, "contact", "PLAIN", SECRET.format("plain"))
    soon = {"CARDWATCH_LEARNER_WINDOW": "20", "CARDWATCH_LEARNER_SNAPSHOT_SECONDS": "0"}
    starts = {
        "scorer-sasl": ("scorer", over_sasl(servers, "scorer") | of_redis(servers, "scorer")),
        "scorer-certificate": ("scorer", by_certificate(servers, "scorer") | of_redis(servers, "scorer")),
        "learner": ("learner", by_certificate(servers, "learner") | of_redis(servers, "learner") | soon),
        "contact": ("contact", contact | of_redis(servers, "contact")),
        "reminder": ("reminder", over_sasl(servers, "reminder") | of_redis(servers, "reminder")),
        "desk": ("desk", over_sasl(servers, "desk")),
    }
    for name, (role, environment) in starts.items():
        installation.launch(role, name, environment)
    for name in starts:
        installation.wait_until_ready(name)
    outside = installation.outside
    outside.produce_json("customers", "somebody", customer("somebody", "+12025550100"))
    outside.flush()
    installation.wait_for_directory(1)
    sent = [*payments(CARDS), *card_checks("somebody", time.time() - 10)]
    for each in sent:
        outside.produce_json("transactions", str(each["card"]), each)
    outside.produce("transactions", b"?", b"not a transaction")
    outside.produce_json("accounts", "ac1", overdue_bill("ac1", "nobody-known"))
    outside.flush()

    installation.wait_for_decisions(len(sent))
    counted, _ = first_of_each(outside.read("decisions"))
    assert {record.json()["id"] for record in counted} == {each["id"] for each in sent}
    holds = outside.wait_for("card-commands", lambda found: bool(found))
    assert [(hold.json()["card"], hold.json()["command"]) for hold in holds] == [(card_of("somebody"), "hold")]
    outside.wait_for("dead-letters", lambda found: [one.json()["topic"] for one in found].count("transactions") == 1)
    outside.wait_for("contact-requests", lambda found: len(found) >= 1)
    installation.wait_until_saved()
    outside.wait_for("control", lambda found: bool(found))
    for name in ("scorer-sasl", "scorer-certificate"):
        assert 'cardwatch_consumer_lag{partition="' in installation.metrics(name), f"{name} owns nothing"
    for name in starts:
        installation.children[name].ask_to_stop()  # all at once: each waits for its own group
    for name in starts:
        installation.stop(name)
    denied = installation.redis.acl_log()
    assert not [line for line in denied if b"client" not in str(line).encode()], denied
    assert "s3cret" not in "".join(log.read_text() for log in installation.logs)


def told(role: str, environment: Mapping[str, str]) -> tuple[int, str]:
    """Exit code and words of a role that is turned away."""
    ours = {
        "PYTHONPATH": str(ROOT),
        "CARDWATCH_CONFIG_DIR": str(ROOT / "config"),
        "CARDWATCH_TOPIC_PREFIX": "i0.",
        "CARDWATCH_SNAPSHOT_KEY": "a key that only these tests use",
    }
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "run", role],
        env={**os.environ, **ours, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def settings_of(environment: Mapping[str, str], prefix: str) -> Settings:
    values: dict[str, object] = {
        name.removeprefix("CARDWATCH_").lower(): value for name, value in environment.items() if value
    }
    return Settings.model_validate(values | {"topic_prefix": prefix})


def refused(role: str, environment: Mapping[str, str], prefix: str) -> str:
    """What is asked before a role starts, asked here: processes take their time."""
    with pytest.raises(NotAdmitted) as why:
        asyncio.run(admitted(settings_of(environment, prefix), role))
    return str(why.value)


def refusals(servers: Servers) -> Iterator[tuple[str, dict[str, str], str]]:
    """A role, what is wrong with its environment, and words it must be told."""
    sasl, store = over_sasl(servers, "scorer"), of_redis(servers, "scorer")
    stranger = servers.stranger.certificate
    yield "scorer", over_sasl(servers, "scorer", password=WRONG) | store, "refuses the user scorer"
    yield "contact", over_sasl(servers, "contact", "PLAIN", WRONG), "refuses the user contact"
    yield "scorer", over_sasl(servers, "scorer", "SCRAM-SHA-256") | store, "does not take"
    yield "scorer", sasl | {"CARDWATCH_KAFKA_SSL_CA": str(stranger)}, "certificate that is not trusted"
    yield "scorer", sasl | {"CARDWATCH_KAFKA_SSL_CA": "/none.pem"}, "CARDWATCH_KAFKA_SSL_CA"
    nameless = by_certificate(servers, "scorer") | {
        "CARDWATCH_KAFKA_SSL_CERTIFICATE": "",
        "CARDWATCH_KAFKA_SSL_KEY": "",
    }
    yield "scorer", nameless | store, "CARDWATCH_KAFKA_SSL_CERTIFICATE"
    password = {"CARDWATCH_REDIS_URL": servers.redis.url_of("scorer", WRONG)}
    yield "scorer", sasl | password, "CARDWATCH_REDIS_URL refuses this user or password"
    authority = {"CARDWATCH_REDIS_URL": servers.redis.url_of("scorer", WRONG, stranger)}
    yield "scorer", sasl | authority, "certificate that is not trusted"
    file = {"CARDWATCH_REDIS_URL": servers.redis.url_of("scorer", WRONG, Path("/none.pem"))}
    yield "scorer", sasl | file, "a file that the URL names"
    yield "scorer", sasl | of_redis(servers, "contact"), "too few rights"
    poor = {"CARDWATCH_REDIS_CONTACT_URL": servers.redis.url_of("poor", SECRET.format("poor"))}
    yield "contact", over_sasl(servers, "setup") | poor, "REDIS_CONTACT_URL does not allow this user hlen, zadd on "


def test_who_is_turned_away_is_told_why_in_a_sentence(servers: Servers) -> None:
    for role, environment, words in refusals(servers):
        said = refused(role, environment, "i0.")
        print(said)
        assert words in said
        assert "\n" not in said
        assert "s3cret" not in said


def test_who_may_not_create_topics_is_told_so(servers: Servers) -> None:
    with pytest.raises(BrokerDown, match=r"does not let scorer create the topic nobodys\..*right Create"):
        asyncio.run(create_topics(settings_of(over_sasl(servers, "scorer"), "nobodys.")))


def test_a_producer_with_a_wrong_password_is_told_so_at_once(servers: Servers) -> None:
    wrong = settings_of(over_sasl(servers, "scorer", password=WRONG), "i0.")
    with pytest.raises(BrokerDown, match="refuses the user scorer"):
        asyncio.run(KafkaLog(wrong).start())


def test_the_command_says_that_sentence_and_no_more(servers: Servers) -> None:
    right = over_sasl(servers, "scorer")
    cases = (
        (over_sasl(servers, "scorer", password=WRONG) | of_redis(servers, "scorer"), 1, "refuses the user scorer"),
        (right | {"CARDWATCH_REDIS_URL": servers.redis.url_of("scorer", WRONG)}, 1, "refuses this user or password"),
        (right | {"CARDWATCH_REDIS_URL": "rediss://scorer:s3cret/x@127.0.0.1:1/0"}, 2, "REDIS_URL: not an address"),
    )
    with ThreadPoolExecutor() as pool:
        ends = pool.map(lambda case: told("scorer", case[0]), cases)
    for (_, code, words), (ended, said) in zip(cases, ends, strict=True):
        assert ended == code, said
        assert len(said.splitlines()) == 1, said
        assert words in said
        assert "s3cret" not in said
