"""One embedded broker for the tests that read a log; each takes a topic prefix of its own."""

from collections.abc import Iterator

import pytest

from pipeline.embedded.broker import start_broker

pytest.register_assert_rewrite("crm.reading_behaviour")


@pytest.fixture(scope="session")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    broker = start_broker(tmp_path_factory.mktemp("crm-broker"), partition_mb=1)
    yield broker.bootstrap
    broker.stop()
