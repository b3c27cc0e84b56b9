"""One embedded broker for the worker's tests; each test has a topic prefix of its own."""

from collections.abc import Iterator

import pytest

from pipeline.embedded.broker import start_broker

pytest.register_assert_rewrite("kafka_worker.behaviour")


@pytest.fixture(scope="session")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    broker = start_broker(tmp_path_factory.mktemp("worker-broker"), partition_mb=4)
    yield broker.bootstrap
    broker.stop()
