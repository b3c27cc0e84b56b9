"""What is collected: everything but `tests/real`, which needs an Apache Kafka, a JVM and a Redis server. With
CARDWATCH_TEST_REAL=1 it is collected too, and a missing server is then a failure."""

import os

import pytest

pytest.register_assert_rewrite("broker_suite.behaviour", "broker_suite.raw_client")

collect_ignore = [] if os.environ.get("CARDWATCH_TEST_REAL") == "1" else ["real"]
