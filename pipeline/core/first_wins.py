"""One decision per transaction, read from a log that may hold repeats.

Writers append in the order of source offsets and wait for acknowledgement, so after a crash the log holds the same
records again, never new ones in between. A reader therefore needs one integer per partition: a record whose source
offset is below the next expected one is a repeat. Jumps forward are normal (dead letters, transaction markers).
"""


class FirstWins:
    """Accepts the first record of each source offset, per partition; give it back the positions after a restart."""

    __slots__ = ("next",)

    def __init__(self, next_offsets: dict[int, int] | None = None) -> None:
        self.next: dict[int, int] = dict(next_offsets or {})

    def accept(self, partition: int, source_offset: int) -> bool:
        """True, and the position moves on, when this is the first record seen for ``source_offset``."""
        if source_offset < self.next.get(partition, 0):
            return False
        self.next[partition] = source_offset + 1
        return True
