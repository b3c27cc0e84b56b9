from pipeline.core.counters import Counting
from pipeline.core.poll import Floats, Row
from pipeline.core.topics import Record
from pipeline.core.transaction import Event

def advance_part(
    held: dict[bytes, bytes],
    dirty: dict[bytes, bytes],
    events: list[tuple[Record, Event, bytes]],
    rows: list[Row],
    matrix: Floats,
    counting: Counting | None = None,
) -> int: ...
