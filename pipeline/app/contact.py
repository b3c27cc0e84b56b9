"""Wiring of the contact role: decisions by polls, customers and answers by groups, providers through their channels."""

import asyncio

from pipeline.adapters.almanac import world_almanac
from pipeline.adapters.channels.settings import ChannelSettings
from pipeline.adapters.clock import SystemClock
from pipeline.adapters.http.callbacks import serve
from pipeline.adapters.http.inbound import FRONT_ENDS, Inbound
from pipeline.adapters.http.ops import OpsServer
from pipeline.adapters.kafka.log import KafkaLog
from pipeline.adapters.kafka.readers import GroupReader
from pipeline.adapters.kafka.worker import Worker
from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.contacts import RedisContactStore
from pipeline.app.channels import Bank, Carriers
from pipeline.app.configuration import done_before, new_registry, ops_port, until
from pipeline.core.dead_letters import dead_letter
from pipeline.core.topics import ANSWERS, CARD_COMMAND_RESULTS, CUSTOMERS, DEAD_LETTERS, DECISIONS, Topic
from pipeline.ports import Record
from pipeline.roles.contact.metrics import ContactMetrics
from pipeline.roles.contact.role import ContactRole, DeadLetters
from pipeline.roles.contact.settings import ContactSettings


async def run_contact(stop: asyncio.Event, worker: int = 0) -> None:
    settings = ContactSettings()
    registry = new_registry()
    metrics = ContactMetrics(registry)
    clock = SystemClock()
    carriers = Carriers(ChannelSettings(), Bank(settings.bank_name, settings.voice_callback_url()), clock)
    kafka = KafkaLog(settings)
    if not await done_before(stop, kafka.start()):
        return
    redis = connect(settings.store_url)
    store = RedisContactStore(redis, settings.topic_prefix)
    role = ContactRole(kafka, store, carriers.channels, clock, world_almanac(), settings, metrics, dead_letters(kafka))
    carriers.inbox.give_to(role)
    await carriers.start()
    kafka_worker = Worker(settings, DECISIONS, "contact", role)

    def refresh() -> None:
        metrics.lag.clear()
        for partition, behind in kafka_worker.lag.items():
            metrics.lag.labels("contact", str(partition)).set(behind)

    ops = OpsServer(registry, kafka_worker.ready, settings.metrics_host, ops_port(settings, "contact", worker), refresh)
    await ops.start()
    keys = {key: FRONT_ENDS[name] for name, key in settings.front_end_keys().items()}
    callbacks = await serve(role, settings, clock, [Inbound(role, keys), *carriers.routes])
    await role.start()
    readers = [
        asyncio.create_task(GroupReader(settings, topic, "contact", handler).run(stop))
        for topic, handler in (
            (CUSTOMERS, role.customers),
            (ANSWERS, role.answers),
            (CARD_COMMAND_RESULTS, role.results),
        )
    ]
    await kafka_worker.start()
    await until(stop, readers)
    await kafka_worker.stop()
    await asyncio.gather(*readers)
    await callbacks.stop()
    await role.stop()
    await carriers.stop()
    await ops.stop()
    await kafka.stop()
    await redis.aclose()


def dead_letters(kafka: KafkaLog) -> DeadLetters:
    """Where records that cannot be used are put, with their coordinates and masked."""

    async def send(topic: Topic, record: Record, reason: str, field: str | None, detail: str) -> None:
        await kafka.send(DEAD_LETTERS, [dead_letter(topic, record, reason, field, detail)])

    return send
