"""Wiring of the crm role: each system has its own group, place in the log and pace; one that is away holds up no other."""

import asyncio
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from pydantic import SecretStr

from pipeline.adapters.clock import SystemClock
from pipeline.adapters.crm.apprise import AppriseNotifier
from pipeline.adapters.crm.fxiaoke import Fxiaoke, Login
from pipeline.adapters.crm.webhook import WebhookSystem
from pipeline.adapters.crm.zoho import ZohoCrm, ZohoLogin
from pipeline.adapters.http.ops import OpsServer
from pipeline.adapters.kafka.log import KafkaLog
from pipeline.adapters.kafka.resuming import ResumingReader
from pipeline.app.configuration import WrongInstallation, done_before, new_registry, ops_port, read, until
from pipeline.core.crm_event import READERS
from pipeline.core.crm_mapping import CrmMapping, parse_mapping
from pipeline.core.dead_letters import dead_letter
from pipeline.core.topics import CONTACTS, CUSTOMER_STATE, DEAD_LETTERS, Topic
from pipeline.ports import Clock, Record
from pipeline.ports_crm import OtherSystem
from pipeline.roles.crm.courier import Courier, DeadLetters
from pipeline.roles.crm.metrics import CrmMetrics
from pipeline.roles.crm.settings import CrmSettings
from pipeline.roles.crm.staff import StaffAlerts
from pipeline.settings import PREFIX

STOP_S = 5.0
"""How long a system may take to answer what it was asked before the role was told to end."""


class Started(OtherSystem, Protocol):
    """A system that connections are kept to."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


class Line(NamedTuple):
    """One system, and how it is told. ``name`` as metrics have it; ``batch``: records at a time."""

    name: str
    system: Started
    topics: tuple[Topic, ...]
    batch: int
    from_now: bool = False


async def run_crm(stop: asyncio.Event, worker: int = 0) -> None:
    settings = CrmSettings()
    clock = SystemClock()
    lines = [*configured(settings, parse_mapping(*read(settings, settings.crm_mapping)), clock)]
    if not lines:
        raise WrongInstallation(
            f"nothing is to be told to any system: set {PREFIX}CRM_WEBHOOK_URL, {PREFIX}CRM_ZOHO_CLIENT_ID, "
            f"{PREFIX}CRM_FXIAOKE_APP_ID or {PREFIX}CRM_STAFF_URLS, and what belongs to it"
        )
    registry = new_registry()
    metrics = CrmMetrics(registry)
    kafka = KafkaLog(settings)
    if not await done_before(stop, kafka.start()):
        return
    for line in lines:
        await line.system.start()
    couriers = {
        (line, topic): Courier(line.name, topic, READERS[topic], line.system, metrics, letters(kafka))
        for line in lines
        for topic in line.topics
    }

    def refresh() -> None:
        for line in lines:
            held = [couriers[line, topic].oldest_ms() for topic in line.topics]
            oldest = min((moment for moment in held if moment is not None), default=None)
            metrics.lag.labels(line.name).set(0 if oldest is None else max(0.0, clock.now() - oldest / 1000))

    ops = OpsServer(registry, lambda: True, settings.metrics_host, ops_port(settings, "crm", worker), refresh)
    await ops.start()
    readers = [
        ResumingReader(
            settings, topic, f"crm-{line.name}", courier.carry, line.batch, courier.forget, from_now=line.from_now
        )
        for (line, topic), courier in couriers.items()
    ]
    reading = [asyncio.create_task(reader.run(stop)) for reader in readers]
    await until(stop, reading)
    await _ended(reading)
    for line in lines:
        await line.system.stop()
    await ops.stop()
    await kafka.stop()


def configured(settings: CrmSettings, mapping: CrmMapping, clock: Clock) -> Iterator[Line]:
    """The systems that the settings name."""
    both = (CONTACTS, CUSTOMER_STATE)
    if settings.crm_webhook_url:
        secret = given(settings.crm_webhook_secret).encode()
        yield Line("webhook", WebhookSystem(settings.crm_webhook_url, secret, mapping.webhook, clock), both, batch=100)
    if settings.crm_zoho_client_id:
        login = ZohoLogin(
            settings.crm_zoho_accounts_url,
            settings.crm_zoho_client_id,
            given(settings.crm_zoho_client_secret),
            given(settings.crm_zoho_refresh_token),
        )
        yield Line("zoho", ZohoCrm(mapping.zoho, login, settings.crm_zoho_url, clock), both, batch=500)
    if settings.crm_fxiaoke_app_id:
        who = Login(
            settings.crm_fxiaoke_app_id,
            given(settings.crm_fxiaoke_app_secret),
            given(settings.crm_fxiaoke_permanent_code),
        )
        user, url, rate = given(settings.crm_fxiaoke_user), settings.crm_fxiaoke_url, settings.crm_fxiaoke_rate
        yield Line("fxiaoke", Fxiaoke(mapping.fxiaoke, who, user, url, clock, rate), both, batch=100)
    if urls := settings.staff_urls():
        notifier = AppriseNotifier(urls)
        wording, per_minute = settings.crm_staff_language, settings.crm_staff_per_minute
        staff = StaffAlerts(notifier, mapping.overdue, wording, per_minute, clock)
        yield Line("staff", staff, (CONTACTS,), batch=2_000, from_now=True)


def given(value: str | SecretStr | None) -> str:
    """A setting that was checked to be there, in clear."""
    assert value is not None, "checked when the settings were read"
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def letters(kafka: KafkaLog) -> DeadLetters:
    """Where records that cannot be told are put, with their coordinates and masked."""

    async def send(topic: Topic, record: Record, reason: str, field: str | None, detail: str) -> None:
        await kafka.send(DEAD_LETTERS, [dead_letter(topic, record, reason, field, detail)])

    return send


async def _ended(reading: list[asyncio.Task[None]]) -> None:
    """A reader that still waits for its system is given up: what it has not committed is read again."""
    _, late = await asyncio.wait(reading, timeout=STOP_S)
    for task in late:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
