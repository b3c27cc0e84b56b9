"""Which version is in force: the same whatever the order in which snapshots and orders are met, however often."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.model_release import HOLDING, Action, Mark, Order, Release, Version


def version(model: str, epoch: int, learned: int) -> Version:
    return Version(f"{model}-{epoch}-{learned}", model, Mark(epoch, learned))


def order(sequence: int, action: Action, of: Version, after: Mark | None = None, by: str = "ann") -> Order:
    return Order(
        sequence=sequence, action=action, by=by, why="", at="2026-11-23T10:00:00Z", version=of, after=after or of.mark
    )


versions = st.builds(version, st.sampled_from(["a", "b"]), st.integers(1, 3), st.integers(1, 4))
actions = st.sampled_from(["freeze", "unfreeze", "pin", "rollback", "promote"])
orders = st.builds(
    order, st.integers(1, 4), actions, versions, st.builds(Mark, st.integers(1, 3), st.integers(1, 4)),
    st.sampled_from(["ann", "bo"]),
)  # fmt: skip
told = st.lists(st.one_of(versions, orders), max_size=12)


def release_of(met: list[Version | Order]) -> Release:
    release = Release()
    for one in met:
        release = release.released(one) if isinstance(one, Version) else release.ordered(one)
    return release


@given(told, st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_come_to_the_same(met: list[Version | Order], random) -> None:  # type: ignore[no-untyped-def]  # hypothesis's own
    again = [*met, *random.choices(met, k=5)] if met else []
    random.shuffle(again)
    first, second = release_of(met), release_of(again)
    assert (first.in_force, first.newest, first.order) == (second.in_force, second.newest, second.order)


@given(told)
def test_the_version_in_force_is_the_one_ordered_or_a_later_one_of_its_model(met: list[Version | Order]) -> None:
    release = release_of(met)
    released = [one for one in met if isinstance(one, Version)]
    ordered = max((one for one in met if isinstance(one, Order)), key=lambda one: one.rank, default=None)
    force = release.in_force
    if ordered is None:
        assert force == max(released, key=lambda one: (one.mark, one.name), default=None)
        return
    if ordered.action in HOLDING:
        assert (force, release.frozen) == (ordered.version, True)
        return
    later = [one for one in released if one.model == ordered.version.model and one.mark > ordered.after]
    assert force == max(later, key=lambda one: one.mark, default=ordered.version)


@given(told, st.one_of(versions, orders))
def test_what_is_older_changes_nothing(met: list[Version | Order], late: Version | Order) -> None:
    release = release_of(met)
    if isinstance(late, Version):
        known = release.newest.get(late.model)
        if known is not None and late.mark < known.mark:
            assert release.released(late) is release
    elif release.order is not None and late.rank <= release.order.rank:
        assert release.ordered(late) is release


def test_a_day_of_orders() -> None:
    first, second, third, fourth = (version("a", 1, learned) for learned in (1, 2, 3, 4))
    release = Release().released(first).released(second)
    steps: list[tuple[Version | Order, Version]] = [
        (order(1, "rollback", first), first),
        (third, first),
        (order(2, "unfreeze", first, third.mark), first),
        (fourth, fourth),
        (order(1, "rollback", first), fourth),
        (order(3, "pin", second), second),
        (version("a", 2, 1), second),
        (order(4, "promote", version("b", 2, 1)), version("b", 2, 1)),
        (version("a", 3, 9), version("b", 2, 1)),
        (version("b", 3, 9), version("b", 3, 9)),
    ]
    for met, expected in steps:
        release = release.released(met) if isinstance(met, Version) else release.ordered(met)
        assert release.in_force == expected, met
