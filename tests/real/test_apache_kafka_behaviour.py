"""Apache Kafka does what the shared suite asks of any broker: what the embedded broker is measured by is true."""

import pytest
from broker_suite.behaviour import *  # noqa: F403  # the suite's tests become this module's

pytestmark = pytest.mark.kafka
