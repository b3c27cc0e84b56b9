"""Creating the topics and looking at what the cluster has."""

import asyncio
from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaConnectionError,
    NotCoordinatorForGroupError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from pipeline.adapters.kafka.connection import client_arguments, refusal, unanswered
from pipeline.core.topics import DEFAULT_PARTITIONS, TOPICS, Topic
from pipeline.ports import BrokerDown
from pipeline.settings import Settings

COORDINATOR_TRIES = 60
COORDINATOR_PAUSE_S = 0.25
_NOT_ALLOWED = (TopicAuthorizationFailedError, ClusterAuthorizationFailedError)


async def create_topics(settings: Settings, partitions: int = DEFAULT_PARTITIONS, replication: int = 1) -> list[str]:
    """Create those of our topics that do not exist; answer their names. Raises BrokerDown when no broker answers, or
    when one turns us away or does not let us create a topic; KafkaError for anything else."""
    admin = AIOKafkaAdminClient(**client_arguments(settings))
    try:
        await admin.start()
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
            if error in _NOT_ALLOWED:
                who = settings.kafka_sasl_username or "this user"
                raise BrokerDown(f"Kafka does not let {who} create the topic {name}: the right Create on it is missing")
            if code and error is not TopicAlreadyExistsError:
                raise error(f"topic {name} could not be created")
            if not code:
                created.append(name)
        return created
    except KafkaConnectionError:
        raise BrokerDown(await refusal(settings) or unanswered(settings)) from None
    finally:
        await admin.close()


async def missing_topics(settings: Settings, wanted: Iterable[Topic]) -> list[str]:
    """Those of ``wanted`` that the cluster does not have. Raises BrokerDown when no broker answers or one turns us
    away."""
    admin = AIOKafkaAdminClient(**client_arguments(settings))
    try:
        await admin.start()
        there = set(await admin.list_topics())
    except KafkaConnectionError:
        raise BrokerDown(await refusal(settings) or unanswered(settings)) from None
    finally:
        await admin.close()
    return [name for topic in wanted if (name := settings.topic_prefix + topic.name) not in there]


async def group_members(settings: Settings, group: str) -> int:
    """How many members the consumer group ``group`` (without the installation's prefix) has now. Raises BrokerDown;
    KafkaError where the group may not be looked at, or nobody coordinates it in time."""
    admin = AIOKafkaAdminClient(**client_arguments(settings))
    try:
        await admin.start()
        for _ in range(COORDINATOR_TRIES):
            try:
                return await _members(admin, settings.topic_prefix + group)
            except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError):
                await asyncio.sleep(COORDINATOR_PAUSE_S)  # a cluster that never had a group makes room for them first
        return await _members(admin, settings.topic_prefix + group)
    except KafkaConnectionError:
        raise BrokerDown(await refusal(settings) or unanswered(settings)) from None
    finally:
        await admin.close()


async def _members(admin: AIOKafkaAdminClient, group: str) -> int:
    members = 0
    for response in await admin.describe_consumer_groups([group]):
        for described in response.to_object()["groups"]:
            if described["error_code"]:
                raise for_code(described["error_code"])(f"group {group} could not be looked at")
            members += len(described["members"])
    return members
