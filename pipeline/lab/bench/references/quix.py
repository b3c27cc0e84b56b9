"""What one would write with Quix Streams: a stateful function over a data frame, and River's half-space trees over three
features. Runs in an environment of its own, which has nothing of Cardwatch."""

import os
from typing import Any

from quixstreams import Application, State
from river import anomaly

SUSPICIOUS = 0.9
COMMIT_S = 1.0

model = anomaly.HalfSpaceTrees(seed=1)


def score(transaction: dict[str, Any], state: State) -> dict[str, Any]:
    card = state.get("card") or {"count": 0, "sum": 0}
    card["count"] += 1
    card["sum"] += transaction["amount"]
    state.set("card", card)
    features = {
        "amount": min(transaction["amount"] / 1e5, 1),
        "ratio": min(transaction["amount"] * card["count"] / card["sum"] / 10, 1),
        "count": min(card["count"] / 100, 1),
    }
    unusual = model.score_one(features)
    model.learn_one(features)
    outcome = "approve" if unusual < SUSPICIOUS else "verify"
    return {"id": transaction["id"], "card": transaction["card"], "outcome": outcome, "score": unusual}


def main() -> None:
    app = Application(
        broker_address=os.environ["BENCH_KAFKA"],
        consumer_group=os.environ["BENCH_GROUP"],
        auto_offset_reset="earliest",
        state_dir=os.environ["BENCH_STATE"],
        loglevel="WARNING",
        auto_create_topics=True,
        commit_interval=COMMIT_S,
    )
    source = app.topic(os.environ["BENCH_SOURCE"], value_deserializer="json")
    target = app.topic(os.environ["BENCH_TARGET"], value_serializer="json")
    app.dataframe(source).apply(score, stateful=True).to_topic(target)
    app.run()


if __name__ == "__main__":
    main()
