"""How Faust is told to use our consumer, and to hand over records as they are."""

from typing import Any

from faust.events import Event
from faust.serializers.schemas import Schema
from faust.transport.drivers import aiokafka as driver

from pipeline.adapters.kafka.fetching import Fetching
from pipeline.adapters.kafka.polling import PollConsumer
from pipeline.ports import PolledRole


class PollTransport(driver.Transport):
    """Faust's aiokafka transport with our consumer, bound to one role and topic."""

    Consumer = PollConsumer

    def __init__(self, *args: Any, role: PolledRole, topic: str, fetching: Fetching, **kwargs: Any) -> None:
        self.role = role
        self.topic = topic
        self.fetching = fetching
        super().__init__(*args, **kwargs)


class PassThrough(Schema):
    """Faust neither decodes nor validates: the role does, and knows what to do with what it cannot read."""

    def compile(self, app: Any, *, on_key_decode_error: Any, on_value_decode_error: Any, default: Any = None) -> Any:
        async def decode(message: Any, *, propagate: bool = False) -> Event:
            return Event(app, message.key, message.value, message.headers, message)

        return decode
