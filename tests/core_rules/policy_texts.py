"""What the policy tests share: a schema, a small policy, and columns for it."""

import numpy as np

from pipeline.core.policy import Policy, parse_policy
from pipeline.core.rules import Schema

SCHEMA: Schema = {
    "score": "number", "amount": "number", "amount_ratio": "number", "count_1h": "number", "is_cash": "number",
    "country": "text", "recurring": "boolean",
}  # fmt: skip

POLICY = '''\
name = "small"

[[threshold]]
score = 0.1
actions = { contact = "notify" }
reason = "score_notify"

[[threshold]]
score = 0.5
actions = { contact = "verify", queue = "review" }
reason = "score_verify"

[[rule]]
name = "large"
when = "amount_ratio > 5"
actions = { queue = "review" }
reason = "large"
figures = ["amount_ratio", "country"]

[[rule]]
name = "cash"
when = """
is_cash = 1
and count_1h > 3"""
actions = { card = "hold", scope = "cash", contact = "verify" }
reason = "cash"
figures = ["count_1h"]

[[rule]]
name = "listed"
when = "country = 'XX'"
actions = { transaction = "step_up", queue = "review" }
reason = "listed"
hard = true

[[rule]]
name = "online"
when = "recurring and amount > 100"
actions = { card = "limit", scope = "online" }
reason = "online"

[[reason]]
code = "busy"
when = "count_1h > 1"
weight = 1
figures = ["count_1h"]

[[reason]]
code = "large"
when = "amount_ratio > 2"
weight = 5

[[reason]]
code = "dear"
when = "amount / count_1h > 10"
weight = 3
figures = ["amount"]
'''

QUIET = {
    "score": 0.01, "amount": 5.0, "amount_ratio": 1.0, "count_1h": 1.0, "is_cash": 0.0, "country": "CN",
    "recurring": 0.0,
}  # fmt: skip


def small_policy(text: str = POLICY) -> Policy:
    return parse_policy(text, "small.toml", SCHEMA)


def columns(*rows, schema=SCHEMA, quiet=QUIET):
    """Columns of transactions that are ``quiet`` but for what each of ``rows`` says."""
    full = [quiet | row for row in rows]
    made = {}
    for name, kind in schema.items():
        made[name] = np.array([row[name] for row in full], dtype=object if kind == "text" else np.float64)
    return made
