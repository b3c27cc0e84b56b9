"""The wall clock."""

import time


class SystemClock:
    """The Clock port: this machine's time, unix seconds."""

    def now(self) -> float:
        return time.time()
