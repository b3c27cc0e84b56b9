"""Faust's consumer thread with our fetch settings: how long a fetch waits is a constant of 1.5 s there."""

from typing import Any

import aiokafka
from faust.transport.drivers import aiokafka as driver

from pipeline.ports import MAX_POLL_RECORDS

FETCH_WAIT_MS = 50


class PollThread(driver.AIOKafkaConsumerThread):
    """Makes its consumer with `FETCH_WAIT_MS` and the most records a poll may have."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        original = aiokafka.AIOKafkaConsumer

        def created(**arguments: Any) -> Any:
            arguments.update(fetch_max_wait_ms=FETCH_WAIT_MS, max_poll_records=MAX_POLL_RECORDS)
            return original(**arguments)

        aiokafka.AIOKafkaConsumer = created
        try:
            return super()._create_worker_consumer(transport)
        finally:
            aiokafka.AIOKafkaConsumer = original
