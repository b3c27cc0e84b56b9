"""Wiring of the contact role: decisions by polls, customers, answers and requests by groups, providers through their channels."""

import asyncio

import structlog

from pipeline.adapters.almanac import world_almanac
from pipeline.adapters.channels.settings import ChannelSettings
from pipeline.adapters.clock import SystemClock
from pipeline.adapters.http.callbacks import serve
from pipeline.adapters.http.inbound import FRONT_ENDS, Inbound
from pipeline.adapters.http.ops import OpsServer
from pipeline.adapters.kafka.ending import EXIT_OUTSIDE_LOG, end_process
from pipeline.adapters.kafka.log import KafkaLog
from pipeline.adapters.kafka.readers import GroupReader
from pipeline.adapters.kafka.worker import Worker
from pipeline.adapters.redis.connection import connect
from pipeline.adapters.redis.contacts import RedisContactStore
from pipeline.adapters.redis.reach import RedisReach
from pipeline.app.channels import Bank, Carriers
from pipeline.app.configuration import done_before, new_registry, ops_port, until
from pipeline.app.contact_rebuild import is_lost
from pipeline.app.dead_letters import dead_letters
from pipeline.core.topics import (
    ANSWERS,
    CARD_COMMAND_RESULTS,
    CONTACT_REQUESTS,
    CUSTOMER_EVENTS,
    CUSTOMERS,
    DECISIONS,
)
from pipeline.ports import StoreDown
from pipeline.ports_contact import ContactStore
from pipeline.roles.contact.metrics import ContactMetrics
from pipeline.roles.contact.request_reader import STORE_RETRY_S
from pipeline.roles.contact.role import ContactRole
from pipeline.roles.contact.sent_messages import NotedMessages
from pipeline.roles.contact.settings import ContactSettings

log = structlog.get_logger()


async def run_contact(stop: asyncio.Event, worker: int = 0) -> None:
    settings = ContactSettings()
    registry = new_registry()
    metrics = ContactMetrics(registry)
    clock = SystemClock()
    redis = connect(settings.store_url)
    store = RedisContactStore(redis, settings.topic_prefix)
    bank = Bank(settings.bank_name, settings.voice_callback_url())
    carriers = Carriers(ChannelSettings(), bank, clock, metrics, NotedMessages(store, clock))
    kafka = KafkaLog(settings)
    reach = RedisReach(redis, settings.topic_prefix)
    almanac = world_almanac()
    role = ContactRole(kafka, store, carriers.channels, clock, almanac, settings, metrics, dead_letters(kafka), reach)
    carriers.inbox.give_to(role)
    if not await done_before(stop, kafka.start()):  # what is configured wrong was told before
        return
    if not await done_before(stop, _remembering(settings, store)):
        await kafka.stop()
        await redis.aclose()
        return
    await carriers.start()
    kafka_worker = Worker(settings, DECISIONS, "contact", role, ahead=False)  # nearly all of them are approvals

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
            (CUSTOMER_EVENTS, role.customer_events),
            (ANSWERS, role.answers),
            (CARD_COMMAND_RESULTS, role.results),
            (CONTACT_REQUESTS, role.requests),
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


async def _remembering(settings: ContactSettings, store: ContactStore) -> None:
    """Waits for the store, and ends the process when it has lost what it knew: all decisions would be taken in anew, and
    every customer asked again."""
    while True:
        try:
            lost = await is_lost(settings, store)
            break
        except StoreDown as error:
            log.warning("waiting for the contact store", error=str(error))
            await asyncio.sleep(STORE_RETRY_S)
    if lost:
        end_process(
            EXIT_OUTSIDE_LOG, "the contact store is empty, but contacts are on record: cardwatch contact rebuild"
        )
