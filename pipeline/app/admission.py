"""May we go in? A role asks its broker and its store once before it starts.

Servers that are away are waited for, by the role itself. Servers that answer and turn us away (password, certificate,
rights) will do so again, and a client library's view of that is pages long: here it is a sentence.
"""

from pipeline.adapters.kafka import connection as kafka
from pipeline.adapters.redis import connection as redis
from pipeline.adapters.redis.rights import RIGHTS
from pipeline.settings import Settings


class NotAdmitted(Exception):
    """A server turned us away: a sentence for the operator."""


async def admitted(settings: Settings, role: str | None = None) -> None:
    """Raises `NotAdmitted` when Kafka, or the store of ``role``, turns us away."""
    if (why := await kafka.refusal(settings)) is not None:
        raise NotAdmitted(why)
    if role not in RIGHTS:
        return
    variable, url = "REDIS_URL", settings.redis_url
    if role in ("contact", "reminder") and settings.redis_contact_url:
        variable, url = "REDIS_CONTACT_URL", settings.redis_contact_url
    if (why := await redis.refusal(url, RIGHTS[role], settings.topic_prefix)) is not None:
        raise NotAdmitted(f"the Redis server of CARDWATCH_{variable} {why}")
