"""Faust's consumer thread, left to what we use it for: being a member of the group."""

from typing import Any

from faust.transport.drivers import aiokafka as driver


class MembershipThread(driver.AIOKafkaConsumerThread):
    """Joins, hears of rebalances, sends heartbeats, commits; records are read by `fetching.Fetching`."""

    async def on_start(self) -> None:
        await super().on_start()
        self._consumer._fetcher._fetch_task.cancel()

    def verify_event_path(self, now: float, tp: Any) -> None:
        """Faust would miss the fetches that are not made here; `watchdog.Watchdog` sees whether work goes on."""
