"""Messages to the bank's own people through Apprise, which speaks to some hundred and thirty services by a URL each.

An extra: ``pip install 'cardwatch[apprise]'``. The URLs hold passwords and keys; none is ever logged or quoted.
(https://github.com/caronc/apprise)
"""

import logging
from collections.abc import Sequence
from importlib import import_module
from typing import Any


class NoApprise(Exception):
    """Apprise is not installed, or does not know a URL: a sentence for the operator, without URLs."""


class AppriseNotifier:
    """The Notifier port. Raises NoApprise when it is made."""

    def __init__(self, urls: Sequence[str]) -> None:
        try:
            library: Any = import_module("apprise")
        except ModuleNotFoundError:
            raise NoApprise("staff alerts need Apprise: pip install 'cardwatch[apprise]'") from None
        logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it quotes URLs
        self._services = library.Apprise()
        for number, url in enumerate(urls, 1):
            if not self._services.add(url):
                raise NoApprise(f"Apprise does not know the service of URL number {number} of the staff alerts")

    async def notify(self, title: str, body: str) -> bool:
        return bool(await self._services.async_notify(title=title, body=body))  # since 2.2 a result of its own
