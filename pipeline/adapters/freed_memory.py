"""Memory that was freed, given back to the system.

After many arrays of some megabytes have come and gone, glibc keeps hundreds of megabytes between those that stay.
"""

import ctypes
import sys


def give_back() -> None:
    """Where the C library can (glibc); elsewhere nothing happens. Takes a few milliseconds for each 100 MB given back."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
