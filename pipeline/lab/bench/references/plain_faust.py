"""What one would write with Faust as its documentation shows it: an agent, a typed topic, a table, and River's
half-space trees over three features."""

import os

import faust
from river import anomaly

PARTITIONS = 4
SUSPICIOUS = 0.9

app = faust.App(
    os.environ["BENCH_GROUP"],
    broker=f"kafka://{os.environ['BENCH_KAFKA']}",
    store="memory://",
    datadir=os.environ["BENCH_STATE"],
    web_enabled=False,
    topic_partitions=PARTITIONS,
    topic_replication_factor=1,
    consumer_auto_offset_reset="earliest",
)


class Transaction(faust.Record, serializer="json"):  # type: ignore[call-arg,misc]  # Faust has no types
    id: str
    card: str
    time: str
    amount: int
    currency: str
    merchant: str
    terminal: str
    mcc: str
    country: str
    entry_mode: str


source = app.topic(os.environ["BENCH_SOURCE"], value_type=Transaction)
target = app.topic(os.environ["BENCH_TARGET"], value_serializer="json")
cards = app.Table("cards", default=dict)
model = anomaly.HalfSpaceTrees(seed=1)


@app.agent(source)  # type: ignore[untyped-decorator]  # as above
async def score(stream: faust.Stream[Transaction]) -> None:
    async for transaction in stream:
        card = cards[transaction.card]
        card["count"] = card.get("count", 0) + 1
        card["sum"] = card.get("sum", 0) + transaction.amount
        cards[transaction.card] = card
        features = {
            "amount": min(transaction.amount / 1e5, 1),
            "ratio": min(transaction.amount * card["count"] / card["sum"] / 10, 1),
            "count": min(card["count"] / 100, 1),
        }
        unusual = model.score_one(features)
        model.learn_one(features)
        outcome = "approve" if unusual < SUSPICIOUS else "verify"
        decision = {"id": transaction.id, "card": transaction.card, "outcome": outcome, "score": unusual}
        await target.send(key=transaction.card, value=decision)


if __name__ == "__main__":
    faust.Worker(app, loglevel="WARNING", redirect_stdouts=False).execute_from_commandline()
