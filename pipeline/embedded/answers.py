"""What the embedded broker answers to each request: one method per request, from fields to fields."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from pipeline.embedded import wire
from pipeline.embedded.group import MAX_METADATA_CHARS, Committed, Group, State
from pipeline.embedded.log import PartitionLog, resolve
from pipeline.embedded.topics import Topics
from pipeline.embedded.wire import Fields

NODE: Final = 0
MAX_FETCH_WAIT_S: Final = 60.0
MAX_FETCH_BYTES: Final = 52_428_800
"""Of one answer, whatever the client would take (it is also what clients ask for by default)."""
MAX_SESSION_S: Final = 1_800.0
MAX_GROUPS: Final = 10_000
"""One more, and the oldest group without members is forgotten, with its offsets."""
_MEMBER_ID_FIRST: Final = 4  # from this version on, a joining client comes back with the id it was given
_EARLIEST: Final = -2
_LATEST: Final = -1

Handler = Callable[[Fields, int], Awaitable[Fields | None]]


class Answers:
    """The broker without its sockets. ``host`` and ``port`` are what clients are told to connect to."""

    def __init__(self, topics: Topics, host: str, port: int) -> None:
        self.topics = topics
        self.groups: dict[str, Group] = {}
        self._host = host
        self._port = port
        self._producers = 0
        self.handlers: Mapping[int, Handler] = {
            wire.PRODUCE: self._produce,
            wire.FETCH: self._fetch,
            wire.LIST_OFFSETS: self._list_offsets,
            wire.METADATA: self._metadata,
            wire.OFFSET_COMMIT: self._offset_commit,
            wire.OFFSET_FETCH: self._offset_fetch,
            wire.FIND_COORDINATOR: self._find_coordinator,
            wire.JOIN_GROUP: self._join_group,
            wire.HEARTBEAT: self._heartbeat,
            wire.LEAVE_GROUP: self._leave_group,
            wire.SYNC_GROUP: self._sync_group,
            wire.API_VERSIONS: self._api_versions,
            wire.CREATE_TOPICS: self._create_topics,
            wire.INIT_PRODUCER_ID: self._init_producer_id,
        }

    async def to(self, request: wire.Request) -> Fields | None:
        """The answer's fields, None when the client wants none (a producer with acks=0)."""
        return await self.handlers[request.key](request.fields, request.version)

    def expire_members(self) -> None:
        for group in self.groups.values():
            group.expire()

    async def _api_versions(self, asked: Fields, version: int) -> Fields:
        error = wire.UNSUPPORTED_VERSION if asked.get("unsupported") else wire.NONE
        return {"error_code": error, "api_versions": wire.versions(), "throttle_time_ms": 0}

    async def _metadata(self, asked: Fields, version: int) -> Fields:
        names = list(self.topics) if asked["topics"] is None else asked["topics"]
        create = asked.get("allow_auto_topic_creation", True)
        return {
            "throttle_time_ms": 0,
            "brokers": [{"node_id": NODE, "host": self._host, "port": self._port, "rack": None}],
            "cluster_id": "embedded",
            "controller_id": NODE,
            "topics": [self._topic_metadata(name, create) for name in names],
        }

    def _topic_metadata(self, name: str, create: bool) -> Fields:
        error = self.topics.asked_for(name) if create or self.topics.partitions(name) else 0
        if not error and not self.topics.partitions(name):
            error = wire.UNKNOWN_TOPIC_OR_PARTITION
        here = {"error_code": 0, "leader": NODE, "replicas": [NODE], "isr": [NODE], "offline_replicas": []}
        partitions = [here | {"partition": number} for number in range(self.topics.partitions(name))]
        return {"error_code": error, "topic": name, "is_internal": False, "partitions": partitions}

    async def _create_topics(self, asked: Fields, version: int) -> Fields:
        return {"throttle_time_ms": 0, "topic_errors": [self._created(topic, asked) for topic in _rows(asked)]}

    def _created(self, topic: Fields, asked: Fields) -> Fields:
        partitions = len(topic["replica_assignment"]) or topic["num_partitions"]
        settings = {item["config_key"]: item["config_value"] for item in topic["configs"]}
        if topic["replication_factor"] not in (-1, 1):
            error = wire.INVALID_REPLICATION_FACTOR
        else:
            compacted = "compact" in (settings.get("cleanup.policy") or "")
            error = self.topics.create(topic["topic"], partitions, compacted, asked.get("validate_only", False))
        return {"topic": topic["topic"], "error_code": error, "error_message": None}

    async def _init_producer_id(self, asked: Fields, version: int) -> Fields:
        if asked["transactional_id"] is not None:  # there are no transactions here
            return {
                "throttle_time_ms": 0,
                "error_code": wire.UNSUPPORTED_VERSION,
                "producer_id": -1,
                "producer_epoch": -1,
            }
        self._producers += 1
        return {"throttle_time_ms": 0, "error_code": 0, "producer_id": self._producers, "producer_epoch": 0}

    async def _produce(self, asked: Fields, version: int) -> Fields | None:
        valid = asked["required_acks"] in (-1, 0, 1)
        topics = [
            {"topic": t["topic"], "partitions": [self._appended(t["topic"], p, valid) for p in t["partitions"]]}
            for t in asked["topics"]
        ]
        return {"topics": topics, "throttle_time_ms": 0} if asked["required_acks"] else None

    def _appended(self, topic: str, part: Fields, valid: bool) -> Fields:
        log = self.topics.log(topic, part["partition"])
        error, offset = wire.UNKNOWN_TOPIC_OR_PARTITION, -1
        if not valid:
            error = wire.INVALID_REQUIRED_ACKS
        elif log is not None:
            error, offset = log.append(part["messages"] or b"")
        return {
            "partition": part["partition"],
            "error_code": error,
            "offset": offset,
            "timestamp": -1,
            "log_start_offset": log.start if log is not None else -1,
        }

    async def _fetch(self, asked: Fields, version: int) -> Fields:
        """Answers as soon as there is anything to say, at the latest after the client's wait. (``min_bytes`` is not
        waited for: every byte is worth an answer on a loopback.)"""
        loop = asyncio.get_running_loop()
        until = loop.time() + min(asked["max_wait_time"] / 1000, MAX_FETCH_WAIT_S)
        logs = [self.topics.log(t["topic"], p["partition"]) for t in asked["topics"] for p in t["partitions"]]
        while True:
            found, topics = self._read(asked)
            if found or loop.time() >= until:
                return {"throttle_time_ms": 0, "topics": topics}
            await _next_append([log for log in logs if log is not None], until)

    def _read(self, asked: Fields) -> tuple[bool, list[Fields]]:
        """(is there data or an error?, the answer by topic)."""
        left = min(asked["max_bytes"], MAX_FETCH_BYTES)
        found = False
        topics: list[Fields] = []
        for topic in asked["topics"]:
            rows: list[Fields] = []
            for part in topic["partitions"]:
                log = self.topics.log(topic["topic"], part["partition"])
                end = -1 if log is None else log.end
                error, data = wire.NONE, b""
                if log is None:
                    error = wire.UNKNOWN_TOPIC_OR_PARTITION
                elif not log.start <= part["offset"] <= log.end:
                    error = wire.OFFSET_OUT_OF_RANGE
                elif left > 0:
                    data = log.read(part["offset"], min(part["max_bytes"], left))
                left -= len(data)
                found = found or bool(error or data)
                row = {"partition": part["partition"], "error_code": error, "message_set": data}
                rows.append(row | {"highwater_offset": end, "last_stable_offset": end, "aborted_transactions": []})
            topics.append({"topics": topic["topic"], "partitions": rows})
        return found, topics

    async def _list_offsets(self, asked: Fields, version: int) -> Fields:
        topics = [
            {"topic": t["topic"], "partitions": [self._offset_at(t["topic"], p) for p in t["partitions"]]}
            for t in asked["topics"]
        ]
        return {"throttle_time_ms": 0, "topics": topics}

    def _offset_at(self, topic: str, part: Fields) -> Fields:
        log = self.topics.log(topic, part["partition"])
        error, timestamp, offset = wire.NONE, -1, -1
        if log is None:
            error = wire.UNKNOWN_TOPIC_OR_PARTITION
        elif part["timestamp"] == _LATEST:
            offset = log.end
        elif part["timestamp"] == _EARLIEST:
            offset = log.start
        else:
            timestamp, offset = log.at_time(part["timestamp"])
        return {"partition": part["partition"], "error_code": error, "timestamp": timestamp, "offset": offset}

    async def _find_coordinator(self, asked: Fields, version: int) -> Fields:
        here = {"coordinator_id": NODE, "host": self._host, "port": self._port}
        return here | {"throttle_time_ms": 0, "error_code": 0, "error_message": None}

    def _group(self, name: str) -> Group:
        """The group of that name, new if there is none."""
        if name not in self.groups:
            if len(self.groups) >= MAX_GROUPS:
                idle = next((other for other, group in self.groups.items() if group.state is State.EMPTY), None)
                if idle is not None:
                    del self.groups[idle]
            self.groups[name] = Group()
        return self.groups[name]

    async def _join_group(self, asked: Fields, version: int) -> Fields:
        session_s = asked["session_timeout"] / 1000
        rebalance_s = asked.get("rebalance_timeout", asked["session_timeout"]) / 1000
        answer = {"throttle_time_ms": 0, "generation_id": -1, "group_protocol": "", "leader_id": "", "members": []}
        answer["member_id"] = asked["member_id"]
        if not asked["group"]:
            return answer | {"error_code": wire.INVALID_GROUP_ID}
        if not 0 < session_s <= MAX_SESSION_S:
            return answer | {"error_code": wire.INVALID_SESSION_TIMEOUT}
        group = self._group(asked["group"])
        if not asked["member_id"] and version >= _MEMBER_ID_FIRST:
            return answer | {"error_code": wire.MEMBER_ID_REQUIRED, "member_id": group.announce(session_s)}
        protocols = {row["protocol_name"]: row["protocol_metadata"] for row in asked["group_protocols"]}
        joined = await group.join(asked["member_id"], session_s, rebalance_s, protocols)
        return answer | {
            "error_code": joined.error,
            "generation_id": joined.generation,
            "group_protocol": joined.protocol,
            "leader_id": joined.leader,
            "member_id": joined.member_id,
            "members": [
                {"member_id": name, "group_instance_id": None, "member_metadata": metadata}
                for name, metadata in joined.members
            ],
        }

    async def _sync_group(self, asked: Fields, version: int) -> Fields:
        group = self.groups.get(asked["group"]) or Group()
        assignments = [(row["member_id"], row["member_metadata"]) for row in asked["group_assignment"]]
        synced = await group.sync(asked["member_id"], asked["generation_id"], assignments)
        return {"throttle_time_ms": 0, "error_code": synced.error, "member_assignment": synced.assignment}

    async def _heartbeat(self, asked: Fields, version: int) -> Fields:
        group = self.groups.get(asked["group"]) or Group()
        return {"throttle_time_ms": 0, "error_code": group.heartbeat(asked["member_id"], asked["generation_id"])}

    async def _leave_group(self, asked: Fields, version: int) -> Fields:
        group = self.groups.get(asked["group"]) or Group()
        return {"throttle_time_ms": 0, "error_code": group.leave(asked["member_id"])}

    async def _offset_commit(self, asked: Fields, version: int) -> Fields:
        group = self._group(asked["consumer_group"])
        refused = group.may_commit(asked["consumer_id"], asked["consumer_group_generation_id"])
        topics = [
            {
                "topic": t["topic"],
                "partitions": [self._committed(group, t["topic"], p, refused) for p in t["partitions"]],
            }
            for t in asked["topics"]
        ]
        return {"throttle_time_ms": 0, "topics": topics}

    def _committed(self, group: Group, topic: str, part: Fields, refused: int) -> Fields:
        error = refused
        if not error and self.topics.log(topic, part["partition"]) is None:
            error = wire.UNKNOWN_TOPIC_OR_PARTITION
        if not error and len(part["metadata"] or "") > MAX_METADATA_CHARS:
            error = wire.OFFSET_METADATA_TOO_LARGE
        if not error:
            group.offsets[topic, part["partition"]] = Committed(part["offset"], part["metadata"])
        return {"partition": part["partition"], "error_code": error}

    async def _offset_fetch(self, asked: Fields, version: int) -> Fields:
        group = self.groups.get(asked["consumer_group"]) or Group()
        wanted: dict[str, list[int]] = {}
        if asked["topics"] is None:
            for topic, number in group.offsets:
                wanted.setdefault(topic, []).append(number)
        else:
            wanted = {t["topic"]: t["partitions"] for t in asked["topics"]}
        topics = [
            {"topic": topic, "partitions": [_offset_row(group, topic, number) for number in numbers]}
            for topic, numbers in wanted.items()
        ]
        return {"throttle_time_ms": 0, "error_code": 0, "topics": topics}


def _rows(asked: Fields) -> list[Any]:
    rows: list[Any] = asked["create_topic_requests"]
    return rows


def _offset_row(group: Group, topic: str, number: int) -> Fields:
    offset, metadata = group.offsets.get((topic, number), Committed(-1, ""))
    return {"partition": number, "offset": offset, "metadata": metadata, "error_code": 0}


async def _next_append(logs: list[PartitionLog], until: float) -> None:
    """Wait for an append to one of the logs, or for the loop's time ``until``."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()
    timer = loop.call_at(until, resolve, waiter)
    for log in logs:
        log.watch(waiter)
    try:
        await waiter
    finally:
        timer.cancel()
        for log in logs:
            log.unwatch(waiter)
