"""Which memory is asked into large pages; that a large partition's rows are, and nothing is harmed by it."""

from pipeline.adapters.huge_pages import HUGE, collapse, own_memory

MAPS = """\
55d0c0000000-55d0c0021000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000800000 rw-p 00000000 00:00 0
7f0000900000-7f0000f01000 rw-p 00000000 00:00 0
7f1000000000-7f1000800000 rw-p 00000000 fd:00 1234                       /usr/lib/libpython.so
7f2000000000-7f2000800000 r--p 00000000 00:00 0
7f3000000000-7f3000800000 rw-s 00000000 00:00 0
7ffc00000000-7ffc00800000 rw-p 00000000 00:00 0                          [stack]
"""


def test_private_memory_behind_no_file_is_taken_in_whole_large_pages() -> None:
    assert list(own_memory(MAPS.splitlines())) == [(0x7F0000000000, 0x7F0000800000), (0x7F0000A00000, 0x7F0000E00000)]


def test_what_the_memory_holds_stays_as_it_was() -> None:
    rows = {number: number.to_bytes(4, "big") * 100 for number in range(40_000)}
    asked = collapse()
    assert asked % HUGE == 0
    assert all(row == number.to_bytes(4, "big") * 100 for number, row in rows.items())
