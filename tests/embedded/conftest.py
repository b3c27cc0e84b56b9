"""One embedded broker for all tests here; each test has topics and groups of its own."""

from collections.abc import Iterator

import pytest

from pipeline.embedded.broker import EmbeddedBroker, start_broker


@pytest.fixture(scope="session")
def embedded_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    broker = start_broker(tmp_path_factory.mktemp("broker"), partition_mb=1)
    yield broker
    broker.stop()


@pytest.fixture
def bootstrap(embedded_broker: EmbeddedBroker) -> str:
    return embedded_broker.bootstrap
