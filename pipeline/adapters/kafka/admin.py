"""Creating the topics and looking at what the cluster has."""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from pipeline.adapters.kafka.connection import client_arguments
from pipeline.core.topics import DEFAULT_PARTITIONS, TOPICS
from pipeline.settings import Settings


async def create_topics(settings: Settings, partitions: int = DEFAULT_PARTITIONS, replication: int = 1) -> list[str]:
    """Create those of our topics that do not exist; answer their names. Raises KafkaError for anything else."""
    admin = AIOKafkaAdminClient(**client_arguments(settings))
    await admin.start()
    try:
        wanted = [
            NewTopic(
                name=settings.topic_prefix + topic.name,
                num_partitions=topic.partitions or partitions,
                replication_factor=replication,
                topic_configs={"cleanup.policy": "compact"} if topic.compacted else {},
            )
            for topic in TOPICS
        ]
        response = await admin.create_topics(wanted)
        created = []
        for name, code, *_ in response.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise error(f"topic {name} could not be created")
            if not code:
                created.append(name)
        return created
    finally:
        await admin.close()
