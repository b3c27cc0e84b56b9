"""What one running process costs, as Linux counts it, and what a running scorer says of itself."""

import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

import msgspec
from prometheus_client.parser import text_string_to_metric_families

ANSWER_S = 5.0
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Course(NamedTuple):
    """How far a scorer is: what it has counted since it started."""

    transactions: float
    approved: float
    polls: float
    stages: dict[str, float]
    """Seconds, by stage."""
    checkpoint_s: float
    cpu_s: float


class Cost(msgspec.Struct, frozen=True):
    """What transactions cost between two looks: microseconds each, the share (0–1) approved without more, how many
    shared a poll."""

    transactions: int
    approved: float
    poll: float
    stages_us: dict[str, float]
    checkpoint_us: float
    cpu_us: float


def cpu_s(pid: int) -> float:
    """Processor time of all threads, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def memory_bytes(pid: int, field: str = "VmRSS") -> int:
    """Resident memory now; with ``field`` "VmHWM" the most it ever was."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def read_course(exposition: str, cpu: float) -> Course:
    """From the text of a scorer's /metrics."""
    found: dict[str, float] = {}
    stages: dict[str, float] = {}
    approved = 0.0
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if sample.name == "cardwatch_stage_seconds_sum":
                stages[sample.labels["stage"]] = sample.value
                continue
            if sample.name == "cardwatch_transactions_total" and sample.labels["outcome"] == "approve":
                approved = sample.value
            if not sample.name.endswith("_bucket"):
                found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return Course(
        transactions=found.get("cardwatch_transactions_total", 0.0),
        approved=approved,
        polls=found.get("cardwatch_poll_size_count", 0.0),
        stages=stages,
        checkpoint_s=found.get("cardwatch_checkpoint_seconds_sum", 0.0),
        cpu_s=cpu,
    )


def series(exposition: str, name: str) -> float:
    """The sum of the samples called ``name``, 0 when there is none."""
    families = text_string_to_metric_families(exposition)
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


def cost(before: Course, after: Course) -> Cost | None:
    """None when no transaction was decided between the two."""
    done = after.transactions - before.transactions
    if done <= 0:
        return None
    per = 1e6 / done
    stages = {name: (value - before.stages.get(name, 0.0)) * per for name, value in after.stages.items()}
    polls = max(after.polls - before.polls, 1.0)
    return Cost(
        int(done),
        (after.approved - before.approved) / done,
        done / polls,
        stages,
        (after.checkpoint_s - before.checkpoint_s) * per,
        (after.cpu_s - before.cpu_s) * per,
    )


def get(port: int, path: str) -> str | None:
    """The body of a process's page; None when it does not answer with 200 (yet)."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=ANSWER_S) as answer:
            body: bytes = answer.read()
            return body.decode()
    except (urllib.error.URLError, OSError):
        return None
