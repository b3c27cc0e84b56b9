from collections.abc import Sequence

from pipeline.adapters.kafka.records import Fetched
from pipeline.ports import Outgoing

def pack(records: Sequence[Outgoing], start: int, limit: int) -> tuple[bytearray, int]: ...
def unpack(
    data: memoryview,
    count: int,
    partition: int,
    base_offset: int,
    base_timestamp: int,
    one_timestamp: bool,
    following: int,
    make: type[Fetched],
) -> list[Fetched]: ...
