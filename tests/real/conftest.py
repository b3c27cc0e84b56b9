"""One Apache Kafka and one Redis server for all tests here; each test has topics, groups and keys of its own.

`.ci/install-kafka.sh DIR [VERSION]` fetches the jars; CARDWATCH_TEST_KAFKA_LIBS=DIR says where they are, and so which
version the tests run on.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import ApacheKafka, RedisServer


@pytest.fixture(scope="session")
def kafka_libs() -> Path:
    libs = os.environ.get("CARDWATCH_TEST_KAFKA_LIBS")
    assert libs, "CARDWATCH_TEST_KAFKA_LIBS must name the directory of Kafka's jars (.ci/install-kafka.sh DIR)"
    return Path(libs)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory, kafka_libs: Path) -> Iterator[ApacheKafka]:
    server = ApacheKafka(tmp_path_factory.mktemp("kafka"), kafka_libs)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def bootstrap(kafka: ApacheKafka) -> str:
    return kafka.bootstrap
