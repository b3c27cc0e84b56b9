"""Who meets a broker that is away, or that turns us away, is told so in a sentence: no client library's own error."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.adapters.kafka import admin as admin_module
from pipeline.adapters.kafka import log as log_module
from pipeline.adapters.kafka.admin import create_topics
from pipeline.adapters.kafka.log import KafkaLog
from pipeline.embedded.process import free_port
from pipeline.ports import BrokerDown
from pipeline.settings import Settings

TOPIC_AUTHORIZATION_FAILED = 29


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What a broker does with a client that speaks another protocol than it wants."""
    writer.close()


def as_user(bootstrap: str) -> Settings:
    return Settings(
        kafka_bootstrap=bootstrap,
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_username="setup",
        kafka_sasl_password="s3cret",  # type: ignore[arg-type]  # pydantic makes a secret of it
        topic_prefix="bank.",
    )


def said(what: Any, settings: Settings) -> str:
    with pytest.raises(BrokerDown) as down:
        asyncio.run(what(settings))
    return str(down.value)


def test_topics_that_may_not_be_created_are_told_with_user_and_right(monkeypatch: pytest.MonkeyPatch) -> None:
    class Admin:
        def __init__(self, **arguments: object) -> None:
            pass

        async def start(self) -> None:
            pass

        async def create_topics(self, wanted: list[Any]) -> object:
            return SimpleNamespace(topic_errors=[(wanted[0].name, TOPIC_AUTHORIZATION_FAILED, None)])

        async def close(self) -> None:
            pass

    monkeypatch.setattr(admin_module, "AIOKafkaAdminClient", Admin)
    words = said(create_topics, as_user("127.0.0.1:1"))
    assert words == "Kafka does not let setup create the topic bank.transactions: the right Create on it is missing"


def test_topics_for_a_broker_that_is_away_are_not_created() -> None:
    bootstrap = f"127.0.0.1:{free_port()}"
    assert f"no Kafka broker answers at {bootstrap}" in said(create_topics, Settings(kafka_bootstrap=bootstrap))


@pytest.mark.parametrize("what", [create_topics, lambda settings: KafkaLog(settings).start()])
def test_a_broker_that_hangs_up_is_asked_why_and_not_waited_for(what: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def asked(settings: Settings) -> None:
        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            await what(as_user(f"127.0.0.1:{port}"))

    monkeypatch.setattr(log_module, "START_S", 1.0)  # so long a broker is waited for that says nothing
    words = said(asked, Settings())
    assert "closes the connection" in words
    assert "s3cret" not in words


def test_a_broker_that_stays_away_is_told_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "START_S", 0.0)
    bootstrap = f"127.0.0.1:{free_port()}"
    words = said(lambda settings: KafkaLog(settings).start(), Settings(kafka_bootstrap=bootstrap))
    assert f"no Kafka broker answers at {bootstrap}" in words
