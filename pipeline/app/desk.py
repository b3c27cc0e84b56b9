"""Wiring of the desk."""

import asyncio

from pipeline.adapters.almanac import world_almanac
from pipeline.adapters.http.ops import OpsServer
from pipeline.adapters.kafka.readers import KafkaReader
from pipeline.app.configuration import TAGS, load_words, new_registry, ops_port, read
from pipeline.core.customer_tags import parse_tags
from pipeline.core.reminder_policy import read_reminders
from pipeline.desk.app import bank_zone, create_desk
from pipeline.desk.feed import Feed, Link
from pipeline.desk.metrics import DeskMetrics
from pipeline.desk.owing import Owing
from pipeline.desk.projection import Projection
from pipeline.desk.reminding import Reminding
from pipeline.desk.serve import serve
from pipeline.desk.settings import DeskSettings


async def run_desk(stop: asyncio.Event, worker: int = 0) -> None:
    settings = DeskSettings()
    registry = new_registry()
    projection = Projection(_reminding(settings))
    feed = Feed(lambda topic: KafkaReader(settings, topic), projection)
    words = {language: some.say for language, some in load_words(settings).items()}
    desk = create_desk(projection, settings, words, link=lambda: feed.link)
    DeskMetrics(registry, projection, desk.state.streams, lambda: feed.link)
    ops = OpsServer(registry, lambda: feed.link is Link.live, settings.metrics_host, ops_port(settings, "desk", worker))
    await ops.start()
    reading = asyncio.create_task(feed.run())
    try:
        await serve(desk, settings, stop)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await ops.stop()


def _reminding(settings: DeskSettings) -> Reminding:
    """By the terms of the bank's plan, as it stands when the desk starts. Raises what reading the files raises."""
    plan = read_reminders(
        *read(settings, settings.reminder_plan), world_almanac(), parse_tags(*read(settings, TAGS)).names
    )
    return Reminding(Owing(plan.products.get, plan.promises.days), bank_zone(settings.bank_time_zone))
