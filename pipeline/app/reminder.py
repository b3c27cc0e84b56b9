"""Wiring of the reminder role: accounts by polls, contacts, payments and card events by groups, every customer's tags and
choices for each worker."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from pipeline.adapters.almanac import world_almanac
from pipeline.adapters.clock import SystemClock
from pipeline.adapters.files import WatchedFile
from pipeline.adapters.http.ops import OpsServer
from pipeline.adapters.kafka.log import KafkaLog
from pipeline.adapters.kafka.readers import GroupReader, Handler, KafkaReader, began_again
from pipeline.adapters.kafka.worker import Worker
from pipeline.adapters.redis.accounts import RedisAccountStore
from pipeline.adapters.redis.connection import connect
from pipeline.app.configuration import TAGS, done_before, load_money, new_registry, ops_port, read, until
from pipeline.app.dead_letters import dead_letters
from pipeline.core.contact_hours import Almanac
from pipeline.core.customer_tags import parse_tags
from pipeline.core.notices import Teller
from pipeline.core.reminder_policy import ReminderPolicy, read_reminders
from pipeline.core.toml_text import FileError
from pipeline.core.topics import (
    ACCOUNTS,
    CARD_EVENTS,
    CONTACTS,
    CUSTOMER_STATE,
    CUSTOMERS,
    TRANSACTIONS,
    Topic,
)
from pipeline.ports import StoreDown
from pipeline.roles.reminder.choices import Choices
from pipeline.roles.reminder.metrics import ReminderMetrics
from pipeline.roles.reminder.notices import Notices
from pipeline.roles.reminder.role import ReminderRole
from pipeline.roles.reminder.settings import ReminderSettings

GATHER_S = 0.25
"""How long payments are let gather before they are looked at for notices; nobody misses a text by that."""
MARK_S = 0.5
"""How often is looked whether the broker told anew how far the log goes; it is asked once a second."""
log = structlog.get_logger()


class PlanFile:
    """The plan of a file, read anew when that changes; a text that is refused changes nothing."""

    def __init__(self, settings: ReminderSettings, almanac: Almanac) -> None:
        """Raises ReminderError, TagError, OSError and UnicodeError for a file that is wrong or not there."""
        self._settings = settings
        self._file = WatchedFile(settings.config_dir / settings.reminder_plan)
        self._almanac = almanac
        self._plan = self._read()

    def _read(self) -> ReminderPolicy:
        """With the bank's tags as they are now: a condition that asks for another is refused."""
        return read_reminders(*self._file.read(), self._almanac, parse_tags(*read(self._settings, TAGS)).names)

    def now(self) -> ReminderPolicy:
        """The plan in force: the same object until the file says something else."""
        if self._file.changed():
            try:
                plan = self._read()
            except (FileError, OSError, UnicodeError) as error:
                log.error("the changed plan of reminders is refused, the one before stays", error=str(error))
                return self._plan
            if plan.version != self._plan.version:
                log.info("the plan of reminders has changed", plan=plan.version)
                self._plan = plan
        return self._plan


def teller(settings: ReminderSettings, plan: PlanFile, almanac: Almanac) -> Callable[[], Teller]:
    """How notices are told, by the plan in force. Raises LookupError for a bank's time zone that there is not."""
    zone = almanac.zone(settings.bank_time_zone)
    if zone is None:
        raise LookupError(f"there is no time zone {settings.bank_time_zone}")
    return lambda: Teller(plan.now().notices, almanac, zone)


async def run_reminder(stop: asyncio.Event, worker: int = 0) -> None:
    settings = ReminderSettings()
    registry = new_registry()
    metrics = ReminderMetrics(registry)
    redis = connect(settings.store_url)
    store = RedisAccountStore(redis, settings.topic_prefix)
    almanac = world_almanac()
    plan = PlanFile(settings, almanac)
    kafka = KafkaLog(settings)
    clock = SystemClock()
    choices = Choices()
    notices = Notices(choices, teller(settings, plan, almanac), load_money(settings), kafka, clock, metrics.notice)
    role = ReminderRole(
        kafka, store, clock, almanac, plan.now, settings.bank_time_zone, metrics, dead_letters(kafka), notices
    )
    if not await done_before(stop, kafka.start()):
        await redis.aclose()
        return
    kafka_worker = Worker(settings, ACCOUNTS, "reminder", role, ahead=False)

    def ready() -> bool:
        return kafka_worker.ready() and role.tags.whole

    ops = OpsServer(
        registry,
        ready,
        settings.metrics_host,
        ops_port(settings, "reminder", worker),
        lambda: role.scraped(kafka_worker.lag),
    )

    async def read_tags() -> None:
        await role.tags.follow(KafkaReader(settings, CUSTOMER_STATE), stop.is_set)

    async def read_choices() -> None:
        await choices.follow(KafkaReader(settings, CUSTOMERS), stop.is_set)

    async def read_news(topic: Topic, handler: Handler) -> None:
        if await done_before(stop, choices.all_known()):
            await GroupReader(settings, topic, "reminder", handler, GATHER_S).run(stop)

    await ops.start()
    await role.start()
    beside = [
        asyncio.create_task(GroupReader(settings, CONTACTS, "reminder", role.contacts).run(stop)),
        asyncio.create_task(began_again(CUSTOMER_STATE, read_tags, stop)),
        asyncio.create_task(began_again(CUSTOMERS, read_choices, stop)),
        asyncio.create_task(read_news(TRANSACTIONS, notices.payments)),
        asyncio.create_task(read_news(CARD_EVENTS, notices.card_events)),
        asyncio.create_task(_marks(kafka_worker, role, stop)),
    ]
    await kafka_worker.start()
    role.partitions = await kafka.partitions(ACCOUNTS)
    await until(stop, beside)
    await kafka_worker.stop()
    await asyncio.gather(*beside)
    await role.stop()
    await ops.stop()
    await kafka.stop()
    await redis.aclose()


async def _marks(kafka_worker: Worker, role: ReminderRole, stop: asyncio.Event) -> None:
    """Tells the role whenever it is known anew how far it is behind; while the broker does not tell, nobody is told."""
    told_at = kafka_worker.lag_asked_at
    while not stop.is_set():
        if kafka_worker.lag_asked_at != told_at:
            told_at = kafka_worker.lag_asked_at
            try:
                await role.measured(dict(kafka_worker.lag), told_at)
            except StoreDown as error:
                log.warning("the contact store is away", error=str(error))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), MARK_S)
