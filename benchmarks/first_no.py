"""What does the first NO at a shop save on the other cards that are tried there, in the hour after it?

    python benchmarks/first_no.py [SEED ...] [--cards 4000] [--days 60] [--tried 60]

Each seed: the preset `everyone`, through the scorer's and the learner's own code; on each of the last twenty days a thief
tries so many cards at one shop within the hour. Twice: whoever is asked answers after five minutes, and after three
hours; labels of the rest come after a week. The stream is simulated, and a bank's own figures will differ.
"""

import argparse
from heapq import merge

from pipeline.app.evaluation import start
from pipeline.lab.compromise.first_no import Answering, Pace, attacks, first_answers, hour_after
from pipeline.lab.evaluate.run import new_bank
from pipeline.lab.simulate.card_testing import CardTesting, CardTestingParameters
from pipeline.lab.simulate.command import FILE_ENDS, world_for
from pipeline.lab.simulate.presets import PRESETS
from pipeline.lab.simulate.stream import Stream

PROMPT, SLOW = Pace(answer_s=300.0), Pace(answer_s=3 * 3_600.0)
ATTACKED_DAYS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", nargs="*", type=int, default=[1, 2, 3])
    parser.add_argument("--cards", type=int, default=4_000)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--tried", type=int, default=60)
    asked = parser.parse_args()
    for seed in asked.seeds:
        world = world_for(PRESETS["everyone"], seed, FILE_ENDS, cards=asked.cards)
        testing = CardTesting(world.merchants, CardTestingParameters(cards=asked.tried, between_cards_s=50.0))
        made = attacks(world, range(asked.days - ATTACKED_DAYS, asked.days), testing, asked.tried)
        attack_of = {one.transaction.id: number for number, attack in enumerate(made) for one in attack}
        done = {}
        for pace in (PROMPT, SLOW):
            answering = Answering(new_bank(start()), attack_of, pace)
            answering.take(merge(Stream(world).history(asked.days), *made, key=lambda one: one.time))
            done[pace] = answering.tried
        first = first_answers(done[PROMPT], PROMPT.answer_s)
        print(
            f"seed {seed}: {hour_after(done[PROMPT], first)}; answered later: {hour_after(done[SLOW], first)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
