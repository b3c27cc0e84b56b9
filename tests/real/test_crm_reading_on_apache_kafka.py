"""How far other systems were told outlives a reader: on Apache Kafka."""

import pytest
from crm.reading_behaviour import *  # noqa: F403 - the tests are the module's content

pytestmark = pytest.mark.kafka
