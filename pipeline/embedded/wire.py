"""Which requests the embedded broker understands, and how bytes become fields and fields bytes.

The layouts are aiokafka's own protocol tables. A request is handed on as a dictionary by field name, and an answer is
given as one: each version of a response picks the fields it has, so a handler is written once for all versions.
"""

import struct
from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final, NamedTuple

from aiokafka.protocol import admin, commit, coordination, fetch, group, metadata, offset, produce, transaction
from aiokafka.protocol.types import Array, Schema

Fields = Mapping[str, Any]
"""Decoded wire data by field name; nested structures are dictionaries again. The schema is the type."""

PRODUCE: Final = 0
FETCH: Final = 1
LIST_OFFSETS: Final = 2
METADATA: Final = 3
OFFSET_COMMIT: Final = 8
OFFSET_FETCH: Final = 9
FIND_COORDINATOR: Final = 10
JOIN_GROUP: Final = 11
HEARTBEAT: Final = 12
LEAVE_GROUP: Final = 13
SYNC_GROUP: Final = 14
API_VERSIONS: Final = 18
CREATE_TOPICS: Final = 19
INIT_PRODUCER_ID: Final = 22

# Kafka's error codes, as far as they are used here.
NONE: Final = 0
OFFSET_OUT_OF_RANGE: Final = 1
CORRUPT_MESSAGE: Final = 2
UNKNOWN_TOPIC_OR_PARTITION: Final = 3
MESSAGE_TOO_LARGE: Final = 10
OFFSET_METADATA_TOO_LARGE: Final = 12
INVALID_TOPIC: Final = 17
INVALID_REQUIRED_ACKS: Final = 21
ILLEGAL_GENERATION: Final = 22
INCONSISTENT_GROUP_PROTOCOL: Final = 23
INVALID_GROUP_ID: Final = 24
UNKNOWN_MEMBER_ID: Final = 25
INVALID_SESSION_TIMEOUT: Final = 26
REBALANCE_IN_PROGRESS: Final = 27
UNSUPPORTED_VERSION: Final = 35
TOPIC_ALREADY_EXISTS: Final = 36
INVALID_PARTITIONS: Final = 37
INVALID_REPLICATION_FACTOR: Final = 38
UNSUPPORTED_FOR_MESSAGE_FORMAT: Final = 43
POLICY_VIOLATION: Final = 44
OUT_OF_ORDER_SEQUENCE_NUMBER: Final = 45
DUPLICATE_SEQUENCE_NUMBER: Final = 46
INVALID_PRODUCER_EPOCH: Final = 47
UNSUPPORTED_COMPRESSION_TYPE: Final = 76
MEMBER_ID_REQUIRED: Final = 79
INVALID_RECORD: Final = 87

_TABLES: Final = (
    produce.ProduceRequest_v3,
    produce.ProduceRequest_v4,
    produce.ProduceRequest_v5,
    produce.ProduceRequest_v6,
    produce.ProduceRequest_v7,
    fetch.FetchRequest_v4,
    offset.OffsetRequest_v1,
    offset.OffsetRequest_v2,
    offset.OffsetRequest_v3,
    metadata.MetadataRequest_v1,
    metadata.MetadataRequest_v2,
    metadata.MetadataRequest_v3,
    metadata.MetadataRequest_v4,
    metadata.MetadataRequest_v5,
    commit.OffsetCommitRequest_v2,
    commit.OffsetCommitRequest_v3,
    commit.OffsetFetchRequest_v1,
    commit.OffsetFetchRequest_v2,
    commit.OffsetFetchRequest_v3,
    coordination.FindCoordinatorRequest_v0,
    coordination.FindCoordinatorRequest_v1,
    group.JoinGroupRequest_v0,
    group.JoinGroupRequest_v1,
    group.JoinGroupRequest_v2,
    group.JoinGroupRequest_v5,
    group.SyncGroupRequest_v0,
    group.SyncGroupRequest_v1,
    group.SyncGroupRequest_v3,
    group.HeartbeatRequest_v0,
    group.HeartbeatRequest_v1,
    group.LeaveGroupRequest_v0,
    group.LeaveGroupRequest_v1,
    admin.ApiVersionRequest_v0,
    admin.ApiVersionRequest_v1,
    admin.ApiVersionRequest_v2,
    admin.CreateTopicsRequest_v0,
    admin.CreateTopicsRequest_v1,
    admin.CreateTopicsRequest_v2,
    admin.CreateTopicsRequest_v3,
    transaction.InitProducerIdRequest_v0,
)

# aiokafka has no class for these: on the wire they are the version on the right.
_SAME_AS: Final = {(JOIN_GROUP, 3): 2, (JOIN_GROUP, 4): 2, (SYNC_GROUP, 2): 1}

# librdkafka holds a broker without Produce 0 to be too old for modern records (Apache Kafka 4 pretends likewise).
_ADVERTISED_FROM: Final = {PRODUCE: 0}

_HEADER: Final = struct.Struct(">hhih")


class UnsupportedRequest(Exception):
    """A request, or a version of one, that this broker does not know."""


class MalformedRequest(Exception):
    """Bytes that are not what their header says."""


class Request(NamedTuple):
    """One request: which, in what version, the client's number for it, and its fields."""

    key: int
    version: int
    correlation: int
    fields: Fields
    response_schema: Any


def _classes() -> dict[tuple[int, int], Any]:
    classes = {(table.API_KEY, table.API_VERSION): table for table in _TABLES}
    classes |= {(key, version): classes[key, same] for (key, version), same in _SAME_AS.items()}
    return classes


_CLASSES: Final = _classes()


def versions() -> list[dict[str, int]]:
    """What the broker tells clients it speaks: request key, lowest and highest version."""
    by_key: dict[int, list[int]] = {}
    for key, version in _CLASSES:
        by_key.setdefault(key, []).append(version)
    return [
        {"api_key": key, "min_version": _ADVERTISED_FROM.get(key, min(known)), "max_version": max(known)}
        for key, known in sorted(by_key.items())
    ]


def decode(payload: bytes) -> Request:
    """Parse one request (without its length prefix). Raises `UnsupportedRequest` or `MalformedRequest`."""
    try:
        key, version, correlation, client_id_length = _HEADER.unpack_from(payload)
    except struct.error as error:
        raise MalformedRequest(f"a request of {len(payload)} bytes is shorter than its header") from error
    table = _CLASSES.get((key, version))
    if table is None and key == API_VERSIONS:
        # A newer client asks in a version we do not know; told "unsupported" in version 0 it asks again in that.
        response = admin.ApiVersionResponse_v0
        return Request(key, version, correlation, {"unsupported": True}, response.SCHEMA)
    if table is None:
        raise UnsupportedRequest(f"request {key} version {version}")
    body = BytesIO(payload)
    body.seek(_HEADER.size + max(client_id_length, 0))
    try:
        fields = _named(table.SCHEMA, [kind.decode(body) for kind in table.SCHEMA.fields])
    except (ValueError, TypeError, struct.error, MemoryError) as error:
        raise MalformedRequest(f"request {key} version {version}: {error}") from error
    return Request(key, version, correlation, fields, table.RESPONSE_TYPE.SCHEMA)


def encode(request: Request, answer: Fields) -> bytes:
    """The response to ``request``, with length prefix and correlation number."""
    body: bytes = request.response_schema.encode(_positional(request.response_schema, answer))
    return struct.pack(">ii", len(body) + 4, request.correlation) + body


def _named(kind: Any, value: Any) -> Any:
    """Positional values as aiokafka's tables decode them → dictionaries by field name."""
    if isinstance(kind, Schema):
        return {name: _named(field, item) for name, field, item in zip(kind.names, kind.fields, value, strict=True)}
    if isinstance(kind, Array) and isinstance(kind.array_of, Schema) and value is not None:
        return [_named(kind.array_of, item) for item in value]
    return value


def _positional(kind: Any, value: Any) -> Any:
    """The reverse of `_named`; fields the schema does not have are left out."""
    if isinstance(kind, Schema):
        return [_positional(field, value[name]) for name, field in zip(kind.names, kind.fields, strict=True)]
    if isinstance(kind, Array) and isinstance(kind.array_of, Schema) and value is not None:
        return [_positional(kind.array_of, item) for item in value]
    return value
