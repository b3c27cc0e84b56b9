"""Wiring of the archive."""

import asyncio

from pipeline.adapters.clock import SystemClock
from pipeline.adapters.http.ops import OpsServer
from pipeline.adapters.kafka.ending import EXIT_OUTSIDE_LOG, end_process
from pipeline.adapters.kafka.readers import KafkaReader
from pipeline.adapters.parquet_deciders import ParquetDeciders
from pipeline.adapters.parquet_writing import ParquetShelf
from pipeline.adapters.version_files import VersionFiles
from pipeline.app.configuration import load_money, new_registry, ops_port, until
from pipeline.core.topics import CONTROL
from pipeline.roles.archive.metrics import ArchiveMetrics
from pipeline.roles.archive.role import Archiver
from pipeline.roles.archive.run import OutsideLog, World
from pipeline.roles.archive.settings import ArchiveSettings
from pipeline.roles.archive.versions import VersionKeeper


async def run_archive(stop: asyncio.Event, worker: int = 0) -> None:
    settings = ArchiveSettings()
    registry = new_registry()
    metrics = ArchiveMetrics(registry)
    world = World(
        open_reader=lambda topic: KafkaReader(settings, topic),
        shelf=ParquetShelf(settings.archive_dir),
        clock=SystemClock(),
        money=load_money(settings),
    )
    archiver = Archiver(world, settings.pace, metrics)
    ops = OpsServer(registry, lambda: archiver.ready, settings.metrics_host, ops_port(settings, "archive", worker))
    await ops.start()
    running = asyncio.create_task(archiver.run(stop))
    keeper = VersionKeeper(
        VersionFiles(settings.archive_dir), ParquetDeciders(settings.archive_dir), SystemClock(), settings.archive_days
    )
    keeping = asyncio.create_task(keeper.run(lambda: KafkaReader(settings, CONTROL), stop))
    try:
        await until(stop, [running, keeping])
        await stopped(running)
        await stopped(keeping)
    except OutsideLog as outside:
        end_process(EXIT_OUTSIDE_LOG, str(outside))
    await ops.stop()


STOP_S = 10.0
"""What is being written may be finished; rows that wait are read again."""


async def stopped(running: asyncio.Task[None]) -> None:
    await asyncio.wait({running}, timeout=STOP_S)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
