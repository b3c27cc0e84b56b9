"""A child process that ends when its parent does, however the parent ends.

On Linux the kernel sends the signal (PR_SET_PDEATHSIG; it survives ``exec``, so it can be set for any program). It
counts the *thread* that started the child as the parent: start children from a thread that lives as long as they
should. Elsewhere the child watches a pipe, its standard input, which closes with the parent.

``python -m pipeline.embedded.tied PARENT COMMAND ARGUMENT…`` runs a command that knows nothing of this, tied to the
process with the id PARENT, which starts it.
"""

import ctypes
import os
import platform
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from types import FrameType

_PR_SET_PDEATHSIG = 1
_ON_LINUX = platform.system() == "Linux"


def die_with_parent(parent: int | None = None) -> None:
    """From now on this process gets SIGTERM when its parent is gone; at once when that is no longer ``parent``."""
    if _ON_LINUX:
        parent = os.getppid() if parent is None else parent
        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        if os.getppid() != parent:  # it went before the kernel knew
            os.kill(os.getpid(), signal.SIGTERM)
    else:
        on_closed_input(lambda: os.kill(os.getpid(), signal.SIGTERM))


def on_closed_input(then: Callable[[], None]) -> None:
    """Call ``then`` from a thread when standard input closes, if it is a pipe (a terminal closes for other reasons)."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        then()

    if stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def main(parent: int, command: list[str]) -> int:
    if _ON_LINUX:
        die_with_parent(parent)
        os.execv(command[0], command)  # noqa: S606  # the command is the caller's own, not a shell's
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603  # as above

    def forward(number: int, frame: FrameType | None) -> None:
        child.send_signal(number)

    signal.signal(signal.SIGTERM, forward)
    on_closed_input(child.terminate)
    return child.wait()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
