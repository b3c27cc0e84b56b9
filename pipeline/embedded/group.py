"""A consumer group's coordinator: who is a member, who leads, and which offsets the group has reached.

A group is *empty*; when somebody joins it is *joining* until all members have (re)joined or the time for it is over;
then *syncing* until the leader has said who reads what; then *stable*. A member that joins, leaves or falls silent
starts the round again, and each round has a new generation: commits and heartbeats of an older one are refused.
"""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple, TypeVar

from pipeline.embedded import wire

FIRST_JOIN_WAIT_S: Final = 0.1
"""How long the first member of an empty group waits for others, so that a start does not rebalance at each member."""

MAX_METADATA_CHARS: Final = 4_096
"""Of a committed offset."""

Answer = TypeVar("Answer")


class State(Enum):
    EMPTY = "empty"
    JOINING = "joining"
    SYNCING = "syncing"
    STABLE = "stable"


class Joined(NamedTuple):
    """The answer to a join. ``members`` (id, metadata) only for the leader."""

    error: int
    member_id: str
    generation: int = -1
    protocol: str = ""
    leader: str = ""
    members: Sequence[tuple[str, bytes]] = ()


class Synced(NamedTuple):
    error: int
    assignment: bytes = b""


class Committed(NamedTuple):
    offset: int
    metadata: str | None


@dataclass(slots=True)
class Member:
    """``joining`` and ``syncing`` are the answers it waits for; times in seconds of the event loop's clock."""

    session_s: float
    rebalance_s: float
    protocols: dict[str, bytes]
    heard_at: float
    joining: "asyncio.Future[Joined] | None" = None
    syncing: "asyncio.Future[Synced] | None" = None
    assignment: bytes = b""


@dataclass(slots=True)
class Group:
    """One group. Every method runs on the event loop and returns at once; joins and syncs answer through a future."""

    members: dict[str, Member] = field(default_factory=dict)
    offsets: dict[tuple[str, int], Committed] = field(default_factory=dict)
    generation: int = 0
    state: State = State.EMPTY
    _leader: str = ""
    _protocol: str = ""
    _first_round: bool = False
    _timer: asyncio.TimerHandle | None = None
    _announced: dict[str, float] = field(default_factory=dict)

    def announce(self, session_s: float) -> str:
        """A member id for a client about to join under it: a join whose answer is lost then leaves no ghost member."""
        member_id = f"member-{uuid.uuid4()}"
        self._announced[member_id] = _now() + session_s
        return member_id

    def join(
        self, member_id: str, session_s: float, rebalance_s: float, protocols: dict[str, bytes]
    ) -> "asyncio.Future[Joined]":
        """Join, or join again. An empty id is given one."""
        answer: asyncio.Future[Joined] = asyncio.get_running_loop().create_future()
        if member_id and member_id not in self.members and self._announced.pop(member_id, None) is None:
            answer.set_result(Joined(wire.UNKNOWN_MEMBER_ID, member_id))
            return answer
        others = [other for name, other in self.members.items() if name != member_id]
        if not protocols or not any(all(name in other.protocols for other in others) for name in protocols):
            answer.set_result(Joined(wire.INCONSISTENT_GROUP_PROTOCOL, member_id))
            return answer
        member_id = member_id or f"member-{uuid.uuid4()}"
        member = self.members.get(member_id)
        if member is None:
            member = self.members[member_id] = Member(session_s, rebalance_s, protocols, _now())
        else:
            member.session_s, member.rebalance_s, member.protocols = session_s, rebalance_s, protocols
            member.heard_at = _now()
            _resolve(member.joining, Joined(wire.REBALANCE_IN_PROGRESS, member_id))
        member.joining = answer
        self._rebalance()
        return answer

    def sync(
        self, member_id: str, generation: int, assignments: Sequence[tuple[str, bytes]]
    ) -> "asyncio.Future[Synced]":
        """Ask for one's assignment; the leader brings everybody's."""
        answer: asyncio.Future[Synced] = asyncio.get_running_loop().create_future()
        error = self.heartbeat(member_id, generation)
        if error:
            answer.set_result(Synced(error))
            return answer
        member = self.members[member_id]
        if self.state is State.STABLE:
            answer.set_result(Synced(wire.NONE, member.assignment))
            return answer
        _resolve(member.syncing, Synced(wire.REBALANCE_IN_PROGRESS))
        member.syncing = answer
        if member_id == self._leader:
            given = dict(assignments)
            self.state = State.STABLE
            for name, each in self.members.items():
                each.assignment = given.get(name, b"")
                each.heard_at = _now()
                _resolve(each.syncing, Synced(wire.NONE, each.assignment))
                each.syncing = None
        return answer

    def heartbeat(self, member_id: str, generation: int) -> int:
        """Answers a Kafka error code; "rebalance in progress" makes the member join again."""
        error = self._known(member_id, generation)
        return error or (wire.REBALANCE_IN_PROGRESS if self.state is State.JOINING else wire.NONE)

    def leave(self, member_id: str) -> int:
        if member_id not in self.members:
            return wire.UNKNOWN_MEMBER_ID
        member = self.members.pop(member_id)
        _resolve(member.joining, Joined(wire.UNKNOWN_MEMBER_ID, member_id))
        _resolve(member.syncing, Synced(wire.UNKNOWN_MEMBER_ID))
        if self.members:
            self._rebalance()
        else:
            self._become_empty()
        return wire.NONE

    def may_commit(self, member_id: str, generation: int) -> int:
        """Answers a Kafka error code. Without a generation (a "simple" consumer) only an empty group takes commits."""
        if generation < 0 and self.state is State.EMPTY:
            return wire.NONE
        error = self._known(member_id, generation)
        return error or (wire.REBALANCE_IN_PROGRESS if self.state is State.SYNCING else wire.NONE)

    def expire(self) -> None:
        """Members not heard of for longer than their session are gone. To be called a few times a second."""
        now = _now()
        for member_id, member in list(self.members.items()):
            waiting = member.joining is not None or member.syncing is not None
            if not waiting and now - member.heard_at > member.session_s:
                self.leave(member_id)
        for member_id, until in list(self._announced.items()):
            if now > until:
                del self._announced[member_id]

    def _known(self, member_id: str, generation: int) -> int:
        member = self.members.get(member_id)
        if member is None:
            return wire.UNKNOWN_MEMBER_ID
        if generation != self.generation:
            return wire.ILLEGAL_GENERATION
        member.heard_at = _now()
        return wire.NONE

    def _rebalance(self) -> None:
        if self.state is not State.JOINING:
            self._first_round = self.state is State.EMPTY
            self.state = State.JOINING
            for member in self.members.values():
                _resolve(member.syncing, Synced(wire.REBALANCE_IN_PROGRESS))
                member.syncing = None
            wait_s = max(member.rebalance_s for member in self.members.values())
            self._start_timer(FIRST_JOIN_WAIT_S if self._first_round else wait_s)
        if not self._first_round and all(member.joining is not None for member in self.members.values()):
            self._complete()

    def _complete(self) -> None:
        """The round is over: who has not joined again is no member any more."""
        self._stop_timer()
        for member_id in [name for name, member in self.members.items() if member.joining is None]:
            del self.members[member_id]
        if not self.members:
            self._become_empty()
            return
        self.generation += 1
        self.state = State.SYNCING
        first = next(iter(self.members))
        if self._leader not in self.members:
            self._leader = first
        self._protocol = next(
            name
            for name in self.members[first].protocols
            if all(name in member.protocols for member in self.members.values())
        )
        everybody = [(name, member.protocols[self._protocol]) for name, member in self.members.items()]
        for name, member in self.members.items():
            answer, member.joining, member.heard_at = member.joining, None, _now()
            listed = everybody if name == self._leader else ()
            _resolve(answer, Joined(wire.NONE, name, self.generation, self._protocol, self._leader, listed))

    def _become_empty(self) -> None:
        self._stop_timer()
        self.state = State.EMPTY
        self.generation += 1
        self._leader = ""

    def _start_timer(self, wait_s: float) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._complete)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _now() -> float:
    return asyncio.get_running_loop().time()


def _resolve(future: "asyncio.Future[Answer] | None", result: Answer) -> None:
    if future is not None and not future.done():
        future.set_result(result)
