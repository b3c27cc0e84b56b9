"""Where roles put records that they cannot use."""

from pipeline.adapters.kafka.log import KafkaLog
from pipeline.core.dead_letters import dead_letter
from pipeline.core.topics import DEAD_LETTERS, Topic
from pipeline.ports import Record
from pipeline.roles.contact.request_reader import DeadLetters


def dead_letters(kafka: KafkaLog) -> DeadLetters:
    """Where records that cannot be used are put, with their coordinates and masked."""

    async def send(topic: Topic, record: Record, reason: str, field: str | None, detail: str) -> None:
        await kafka.send(DEAD_LETTERS, [dead_letter(topic, record, reason, field, detail)])

    return send
