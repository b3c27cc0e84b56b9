"""The worker's promises on Apache Kafka."""

import pytest
from kafka_worker.behaviour import *  # noqa: F403 - the tests are the module's content

pytestmark = pytest.mark.kafka
