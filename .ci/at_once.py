"""Runs parts of test modules beside each other, each in a pytest of its own with servers of its own, and shows what
each said when all have ended:

    .venv/bin/python .ci/at_once.py MODULE… EXPRESSION…

An expression is one as for ``pytest -k``, which also knows modules' names; what none of them takes is one part more.
(Not a shell's ``&``: what that starts cannot be interrupted, and some tests interrupt programs.)
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory


def main(words: list[str]) -> int:
    """The number of parts that failed."""
    modules = [word for word in words if word.endswith(".py")]
    expressions = [word for word in words if not word.endswith(".py")]
    with TemporaryDirectory() as directory:
        running = []
        rest = " and ".join(f"not ({expression})" for expression in expressions)
        for number, expression in enumerate([*expressions, rest]):
            place = Path(directory) / str(number)
            command = [sys.executable, "-m", "pytest", "-q", "-s", "-k", expression, *modules]
            with place.open("wb") as said:
                running.append((subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT), place))  # noqa: S603  # a list of arguments from our own suites, no shell
        failed = 0
        for process, place in running:
            failed += process.wait() != 0
            sys.stdout.buffer.write(place.read_bytes())
            sys.stdout.flush()
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
