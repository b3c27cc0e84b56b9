"""What is collected: everything but `tests/real`, which needs an Apache Kafka, a JVM and a Redis server. With
CARDWATCH_TEST_REAL=1 it is collected too, and a missing server is then a failure."""

import os
from collections.abc import Iterator

import pytest

from pipeline.embedded.store import EmbeddedStore

pytest.register_assert_rewrite("broker_suite.behaviour", "broker_suite.raw_client")

collect_ignore = [] if os.environ.get("CARDWATCH_TEST_REAL") == "1" else ["real"]


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """The embedded store, one for a module's tests: each takes keys of its own."""
    store = EmbeddedStore(tmp_path_factory.mktemp("valkey"), "no")
    store.start()
    yield store
    store.stop()
