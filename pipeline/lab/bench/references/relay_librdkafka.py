"""The floor for a program on librdkafka: records in, the same records out, nothing in between."""

import os

from confluent_kafka import Consumer, Producer

MAX_RECORDS = 2_000
WAIT_S = 0.001
FETCH_WAIT_MS = 50


def relay() -> None:
    broker = os.environ["BENCH_KAFKA"]
    consumer = Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": os.environ["BENCH_GROUP"],
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": FETCH_WAIT_MS,
        }
    )
    consumer.subscribe([os.environ["BENCH_SOURCE"]])
    producer = Producer(
        {"bootstrap.servers": broker, "acks": "all", "linger.ms": 0, "queue.buffering.max.messages": 1_000_000}
    )
    target = os.environ["BENCH_TARGET"]
    while True:
        for message in consumer.consume(MAX_RECORDS, WAIT_S):
            if message.error() is None:
                producer.produce(target, message.value(), key=message.key(), partition=message.partition())
        producer.poll(0)


if __name__ == "__main__":
    relay()
