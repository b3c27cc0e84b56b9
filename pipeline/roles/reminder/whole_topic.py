"""A topic that every worker reads as a whole, from its beginning, and then goes on with."""

from collections.abc import Callable, Mapping, Sequence

from pipeline.ports import Record, WholeReader

POLL_S = 0.5


async def follow_whole(
    reader: WholeReader,
    take: Callable[[Sequence[Record]], None],
    whole: Callable[[], None],
    ended: Callable[[], bool],
) -> None:
    """Give ``take`` what the topic holds and what comes until ``ended``; ``whole`` is called once all is taken that was there
    at the start. Raises what the reader raises."""
    try:
        await reader.start()
        left = _left(await reader.ends(), await reader.places())
        told = False
        while not ended():
            if not left and not told:
                told = True
                whole()
            for number, records in (await reader.poll(POLL_S)).items():
                take(records)
                if number in left and records[-1].offset + 1 >= left[number]:
                    del left[number]
            if left:
                left = _left(left, await reader.places())
    finally:
        await reader.stop()


def _left(ends: Mapping[int, int], places: Mapping[int, int]) -> dict[int, int]:
    """Partition → end, of those not yet read up to there."""
    return {number: end for number, end in ends.items() if places.get(number, 0) < end}
