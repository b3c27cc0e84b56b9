"""Large tables in large pages.

A million card rows lie in 200,000 pages of 4 kB, and most of what a row that is far away costs is finding its page. Linux
puts memory it was asked to into pages of 2 MB. Where it cannot be asked (another system, huge pages switched off),
nothing changes but the time.
"""

import ctypes
import mmap
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

MAPS = Path("/proc/self/maps")
HUGE = 2 << 20
MADV_COLLAPSE = 25
"""Not in `mmap` yet; Linux 6.1 and later."""
_ANONYMOUS = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw-p \S+ 00:00 0\s*(?:\[heap\])?$")


def collapse() -> int:
    """Ask for large pages wherever this process has memory of its own, and wait until they are there: 1 GB takes about
    two seconds, what lies in large pages already next to nothing. The bytes asked for; 0 where none can be had."""
    if sys.platform != "linux":
        return 0
    madvise = ctypes.CDLL(None, use_errno=True).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    asked = 0
    try:
        maps = MAPS.read_text().splitlines()
    except OSError:  # a sandbox may hide it
        return 0
    for start, end in own_memory(maps):
        if madvise(start, end - start, mmap.MADV_HUGEPAGE) == 0:
            madvise(start, end - start, MADV_COLLAPSE)  # an older kernel does it later by itself
            asked += end - start
    return asked


def own_memory(maps: Iterable[str]) -> Iterator[tuple[int, int]]:
    """The ranges of private, writable memory behind no file, cut to whole large pages. ``maps``: lines of
    ``/proc/PID/maps``."""
    for line in maps:
        if found := _ANONYMOUS.match(line.rstrip()):
            start, end = (int(found[1], 16) + HUGE - 1) // HUGE * HUGE, int(found[2], 16) // HUGE * HUGE
            if start < end:
                yield start, end
