"""What the demo tells on the terminal: a line for each event, a bar while it prepares, and at last what to do."""

import time
from typing import TextIO

from pipeline.demo.places import Places

BAR = 30


class Teller:
    """Writes to ``out``; the bar only where somebody watches (a terminal)."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._drawn = ""

    def say(self, words: str) -> None:
        self._put(f"[{time.strftime('%H:%M:%S')}] {words}\n")

    def progress(self, share: float | None) -> None:
        """Draw the bar at ``share`` (0–1); None takes it away."""
        if not self._out.isatty():
            return
        full = 0 if share is None else round(BAR * min(max(share, 0.0), 1.0))
        drawn = "" if share is None else f"  [{'#' * full}{'.' * (BAR - full)}] {share:4.0%}"
        if drawn != self._drawn:
            self._put(f"\r{drawn or ' ' * len(self._drawn)}{'' if drawn else chr(13)}")
            self._drawn = drawn

    def open(self, places: Places) -> None:
        """The demo is live: where to look and what to do, the last lines a visitor reads."""
        desk = f"http://127.0.0.1:{places.desk_port}"
        metrics = ", ".join(f"{role} {port}" for role, port in places.metrics_ports.items())
        self.say(f"metrics of each role at http://127.0.0.1:PORT/metrics: {metrics}")
        self.say(f"logs, state and process ids: {places.directory}")
        self._put(
            f"\n  Open {desk} - the first alert comes within a minute.\n"
            "  Beside the alerts a telephone gets a text, and rings if nobody replies: answer YES or NO, and see the\n"
            "  card released or blocked.\n"
            f"  中文界面：{desk}/?lang=zh-CN\n"
            "  Ctrl-C ends everything.\n\n"
        )

    def _put(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
