"""What-if by hand: every archived row decided again by the scorer's own code, and every figure counted row by row."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from models.scorer import Model
from pipeline.core.columns import SCHEMA
from pipeline.core.decide import decide
from pipeline.core.decision import Outcome
from pipeline.core.features import CATALOGUE, LAYOUT
from pipeline.core.policy import Policy, parse_policy
from pipeline.lab.whatif.answer import Effort

sys.path.append(str(Path(__file__).parents[1] / "explain"))
from explain_world import LISTS, Past  # its folder has to be on the path first

ACTIONS = ("transaction", "card", "contact", "queue")
TAGGED = {"c0": ("frequent",), "c1": ("frequent", "night_owl"), "c2": ()}
"""As `explain_world.TAGS` has them."""
KNOWN_AT = 1_800_000_000_000


def brute(
    past: Past, rows: dict[str, dict[str, Any]], policy: Policy | None, model: Model | None = None
) -> dict[str, Any]:
    """Row by row: the recorded decision and the one made again."""
    labels = past.archive.labels_in_force(KNOWN_AT)
    known = {
        (name, card): bool(fraud == 1.0)
        for name, card, fraud in zip(labels["transaction"], labels["card"], labels["fraud"], strict=True)
    }
    own = {version: parse_policy(past.kept.policy(version.split("+")[0]) or "", version, SCHEMA) for version in
           {row["policy_version"] for row in rows.values()}}  # fmt: skip
    made = []
    days = len({row["day"] for row in rows.values()})
    for name, row in rows.items():
        before = {"outcome": row["outcome"], **{each: row[f"{each}_action"] for each in ACTIONS}, "scope": row["scope"]}
        after = before
        ruling = policy or own[row["policy_version"]]
        values = counted(row)
        asked = {each: values[each] for each in ruling.counters.names if each in ruling.columns and each in values}
        whole = len(asked) == len(ruling.columns.intersection(ruling.counters.names))
        if row["scored"] and row["layout"] == LAYOUT and row["currency"] is not None and whole:
            columns = {
                column: np.array([row[column]], dtype=np.object_ if kind == "text" else np.float64)
                for column, kind in SCHEMA.items()
            }
            columns |= {name: np.array([value], dtype=np.float64) for name, value in asked.items()}
            for use in ruling.lists:
                value, now = row[use.column], row["at"]
                held = now < LISTS.by_name[use.name].until.get(value, -np.inf)
                columns[str(use)] = np.array([np.nan if value is None else held], dtype=np.float64)
            for use in ruling.tags:
                columns[str(use)] = np.array([use.name in TAGGED[row["customer"]]], dtype=np.float64)
            if model is not None:
                matrix = np.array(
                    [[np.nan if row[f.name] is None else row[f.name] for f in CATALOGUE]], dtype=np.float64
                )
                _, columns["percentile"], columns["score"] = model.scores(matrix)
            verdicts = decide(ruling, columns, 1, None, lambda _, name=name: name)
            actions = msgspec.to_builtins(verdicts.actions(0))
            after = {"outcome": Outcome(int(verdicts.outcome[0])).name, "scope": None, **actions}
        fraud = known.get((name, row["card"]))
        customer = row["customer"] or row["account"] or row["card"]
        made.append(
            (name, row["card"], customer, row["billing_value"] or 0, before, after, fraud, row["score"] or 0.0, days)
        )
    return _figures(made)


def counted(row: dict[str, Any]) -> dict[str, float | None]:
    """Name → value of the counters a row has, NaN: unknown."""
    names = [each.split("=")[0] for each in (row["counters"] or "").split()]
    return {name: row[f"counted_{place}"] for place, name in enumerate(names, 1)}


def _figures(made: list[Any]) -> dict[str, Any]:
    effort = Effort()

    def side(which: int) -> dict[str, Any]:
        alerts = [one for one in made if one[which]["outcome"] != "approve"]
        disturbing = [one for one in alerts if one[which]["outcome"] in ("verify", "hold", "decline")]
        missed = [one for one in made if one[which]["outcome"] == "approve" and one[6]]
        caught = [one for one in alerts if one[6]]
        held = len({one[1] for one in made if one[which]["card"] != "none"})
        contacts = sum(one[which]["contact"] != "none" for one in made)
        calls = sum(one[which]["contact"] == "verify" for one in made)
        reviews = sum(one[which]["queue"] == "review" for one in made)
        minutes = reviews * effort.review_minutes + calls * effort.agent_share * effort.call_minutes
        passed = [one for one in made if one[which]["outcome"] == "approve" and one[6] is not False]
        return {
            "outcomes": dict(Counter(one[which]["outcome"] for one in made)),
            "alerts": len(alerts),
            "alerts_per_10000": len(alerts) / len(made) * 10_000,
            "alerts_genuine": sum(one[6] is False for one in alerts),
            "alerts_unknown": sum(one[6] is None for one in alerts),
            "reviews": reviews,
            "contacts": contacts,
            "contacts_a_day": contacts / made[0][8],
            "agent_hours_a_day": pytest.approx(minutes / 60 / made[0][8]),
            "held": held,
            "held_per_10000_cards": held / len({one[1] for one in made}) * 10_000,
            "caught": (len(caught), sum(one[3] for one in caught)),
            "missed": (len(missed), sum(one[3] for one in missed)),
            "disturbed_genuine": len({one[2] for one in disturbing if one[6] is False}),
            "disturbed_unknown": len({one[2] for one in disturbing if one[6] is None}),
            "expected_loss": sum(one[3] if one[6] else round(one[7] * one[3]) for one in passed),
            "expected_insults": sum(
                1_000_000 if one[6] is False else round((1 - one[7]) * 1_000_000) for one in disturbing if not one[6]
            ) / 1_000_000,
        }  # fmt: skip

    changed = [one for one in made if one[4] != one[5]]
    return {
        "before": side(4),
        "after": side(5),
        "changed": sorted((one[0], one[4]["outcome"], one[5]["outcome"], one[6]) for one in changed),
        "frauds": sum(one[6] is True for one in made),
        "labels": sum(one[6] is not None for one in made),
    }
