"""Challengers learn what the champion learns, go on after a crash, and take its place when people say so."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from labelled_world import LABELLED, LABELS, SCALES, course, row_record
from learner_world import KEY, SPACE, Bank, figures_of
from prometheus_client import CollectorRegistry
from test_labelled_resumes import STORY, Said

from models.bands import Bands
from models.calibrate import parse_prior
from models.river_logistic import Logistic
from models.scorer import Model
from models.snapshot import Snapshot, open_sealed, seal
from pipeline.core.model_order import seal_order, version_of
from pipeline.core.model_release import Order
from pipeline.core.topics import CONTROL, MODEL_KEY, SCORED, challenger_key
from pipeline.core.topics import LABELS as LABELS_TOPIC
from pipeline.roles.learner.casting import cast
from pipeline.roles.learner.control import Found
from pipeline.roles.learner.course import Course, Plan
from pipeline.roles.learner.labelled import Contender
from pipeline.roles.learner.metrics import LearnerMetrics
from pipeline.roles.learner.release import ReleasePlan, Releasing
from pipeline.roles.learner.role import Learner
from pipeline.roles.learner.world import Pace, World


def quick() -> Logistic:
    return Logistic(SCALES, 1, rate=0.5, balance=1.0)


def plan_of(*names: str) -> Plan:
    return LABELLED._replace(labels=LABELS._replace(challengers={name: Contender(quick, 0.25) for name in names}))


AS_CHAMPION = LABELLED._replace(labels=LABELS._replace(classifier=quick))


def arrays(made: Snapshot | None) -> dict[str, bytes]:
    assert made is not None
    assert made.labelled is not None
    return {name: column.tobytes() for name, column in made.labelled.numbers.items()}


Made = dict[str, Snapshot]


def feed(one: Course, said: Sequence[Said]) -> Made:
    """All models by name as they were at the last end of a window."""
    newest: Made = {}
    for topic, entry in said:
        if topic is SCORED:
            for _ in one.learn(entry):
                champion = one.snapshot(1)
                newest = {champion.model: champion, **{made.model: made for made in one.challengers(champion)}}
        else:
            one.label_record(entry)
    return newest


def test_a_challenger_learns_as_if_it_were_champion_and_the_champion_as_if_alone() -> None:
    one, _ = course(plan_of("quick", "again"))
    both = feed(one, STORY)
    alone, other = (feed(course(plan)[0], STORY)["champion"] for plan in (LABELLED, AS_CHAMPION))
    assert arrays(both["champion"]) == arrays(alone)
    made = both["quick"]
    assert arrays(made) == arrays(other) == arrays(both["again"]) != arrays(alone)
    assert other.labelled is not None
    assert made.labelled is not None
    assert made.labelled.progress == other.labelled.progress
    opened = open_sealed(seal(made, KEY), KEY)
    assert (opened.model, opened.share, opened.version) == ("quick", 0.25, made.version)
    assert [standing.name for standing in one.contest()] == ["champion", "quick", "again"]


def test_it_goes_on_where_it_was_and_another_kind_begins_anew() -> None:
    whole, _ = course(plan_of("quick"))
    cut = len(STORY) * 2 // 3
    newest = feed(whole, STORY[:cut])
    champion = newest["champion"]
    known = champion.labelled
    assert known is not None
    parts = cast(plan_of("quick", "new"), None, Found(snapshot=champion, challengers={**newest, "gone": champion}))
    assert parts.gone == ("gone",)
    assert parts.resumed is not None
    assert parts.resumed.version == champion.version
    metrics = LearnerMetrics(CollectorRegistry())
    again = Course(parts.plan, SPACE, 1, metrics, parts.resumed, whole.table(1), rivals=parts.rivals)
    for topic, entry in STORY:
        if topic is SCORED and known.waiting_from.get(0, 0) <= entry.offset <= champion.reading[0]:
            again.recall(entry)
        elif topic is LABELS_TOPIC and known.labels_from.get(0, 0) <= entry.offset < known.labels.get(0, 0):
            again.recall_label(entry)
    again.recalled()
    places = {SCORED: champion.reading[0], LABELS_TOPIC: known.labels.get(0, 0)}
    rest = [(topic, entry) for topic, entry in STORY if entry.offset >= places[topic]]
    last = [(SCORED, row_record(340, 60, 20))]
    ends = [feed(whole, [*STORY[cut:], *last]), feed(again, [*rest, *last])]
    assert arrays(ends[0]["quick"]) == arrays(ends[1]["quick"])
    assert arrays(ends[1]["new"]) != arrays(ends[1]["quick"]), "it began later"
    other_kind = replace(champion, labelled=replace(known, kind="another", numbers={}))
    begun = cast(plan_of(), None, Found(snapshot=other_kind)).resumed
    assert begun is not None
    assert begun.labelled is not None
    assert (begun.labelled.kind, begun.labelled.labels) == (Logistic.kind, known.labels)


def test_the_one_ordered_is_champion_with_what_it_had_learned_and_the_one_before_goes_on_beside_it() -> None:
    one, _ = course(plan_of("quick"))
    newest = feed(one, STORY)
    champion, made = newest["champion"], newest["quick"]
    parts = cast(plan_of("quick"), "quick", Found(snapshot=champion, challengers={"quick": made}))
    assert parts.plan.model == "quick"
    assert arrays(parts.resumed) == arrays(made)
    assert parts.resumed is not None
    assert parts.resumed.reading == champion.reading
    assert set(parts.rivals) == {"champion"}
    assert parts.gone == (), "what it had learned stays until it is champion"
    assert cast(plan_of("quick"), "unknown", Found(snapshot=champion)).plan.model == "champion"
    back = cast(plan_of("quick"), "champion", Found(snapshot=made, challengers={"champion": champion}))
    assert arrays(back.resumed) == arrays(champion), "and back again"


CURVE = parse_prior(
    "base_rate = 0.3\npoints = [{percentile = 0, probability = 0.1}, {percentile = 100, probability = 0.5}]", "prior"
)


def releasing(registry: LearnerMetrics) -> Releasing:
    plan = ReleasePlan(Bands(), lambda: [0.2], lambda made: Model.trained(made, CURVE))
    return Releasing(plan, KEY, registry)


def test_a_learner_that_leads_hears_the_order_and_gives_the_parts_anew() -> None:
    bank = Bank(plan=plan_of("quick"), pace=Pace(0.0, 1e9, 1e9, 0.0, 0.0, 0.0, 0.0, 0.0, orders_s=0.0))
    for number in range(4):
        bank.log.put(SCORED, row_record(number * 50, 50, number).value)

    def newest(key: bytes) -> Snapshot:
        return open_sealed([e for e in bank.log.of(CONTROL) if e.key == key][-1].value or b"", KEY)

    async def story() -> dict[str, float]:
        stop, registry, figures = asyncio.Event(), CollectorRegistry(), [dict[str, float]()]
        steps = iter(range(12))

        def idle() -> None:
            step = next(steps, None)
            if step == 2:
                made = newest(challenger_key("quick"))
                order = Order(
                    sequence=1, action="promote", by="ann", why="better", at="2026-11-23T10:00:00Z",
                    version=version_of(made), after=version_of(made).mark,
                )  # fmt: skip
                out = seal_order(order, seal(made, KEY), KEY)
                bank.log.put(CONTROL, out.value, key=out.key)
            if step == 6:
                bank.log.put(SCORED, row_record(200, 60, 4).value)
            if step is None:
                figures[0] = figures_of(registry)
                stop.set()

        learner, _ = bank.learner(idle)
        world = learner._world
        metrics = LearnerMetrics(registry)
        one = Learner(
            World(*world), SPACE, bank.plan, KEY, metrics, bank.pace, lambda: releasing(metrics)
        )  # fmt: skip
        await asyncio.wait_for(one.run(stop), 20)
        return figures[0]

    asyncio.run(story())
    champion, beside = newest(MODEL_KEY), newest(challenger_key("champion"))
    assert (champion.model, beside.model, champion.learned) == ("quick", "champion", 250)
    assert champion.epoch > newest(challenger_key("quick")).epoch, "what it had learned stays until it is champion"
