"""The bank's customer directory for a world: who holds which card, and how to reach them.

Telephone numbers are +1 NXX 555-0100 … 555-0199, which the North American plan keeps for fiction: nobody answers them.
There are ``len(AREA_CODES)`` × 100 of them; a world with more numbers than that gives some out twice. A few customers
have no telephone, a few changed it lately, and some cards belong to nobody the directory knows.
"""

from collections.abc import Iterator

from pipeline.core.card_event import CardEvent
from pipeline.core.records import Customer, CustomerCard, Phone
from pipeline.lab.simulate.attempt import moment
from pipeline.lab.simulate.draws import Draws, Source
from pipeline.lab.simulate.places import HOME_COUNTRY
from pipeline.lab.simulate.world import World

AREA_CODES = tuple(
    code for code in range(201, 990) if (code // 10) % 10 != 9 and code % 100 != 11 and code not in (555, 800, 900)
)
FICTION_PER_AREA = 100
TIME_ZONE = "Asia/Shanghai"
DAY_S = 86_400
_SURNAMES = ("王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "徐", "孙", "胡", "朱", "高", "林", "何", "郭")
_GIVEN = (
    "伟",
    "芳",
    "娜",
    "敏",
    "静",
    "磊",
    "洋",
    "艳",
    "勇",
    "杰",
    "娟",
    "涛",
    "明",
    "超",
    "秀英",
    "建国",
    "雨桐",
    "子涵",
)
_SURNAMES_EN = ("Smith", "Jones", "Taylor", "Brown", "Wilson", "Evans", "Walker", "Wright", "Green", "Hall")
_GIVEN_EN = ("Alice", "Ben", "Clara", "David", "Emma", "Frank", "Grace", "Henry", "Ivy", "Jack")


def customers(world: World) -> Iterator[Customer]:
    """One record for each customer of ``world``'s cards, in order of their first card."""
    source = Source(world.seed, "customers")
    waiting: int | None = None
    cards: list[CustomerCard] = []
    for index in range(world.cards):
        owner = world.cardholders.owner(index)
        if owner is None:
            continue
        if waiting is not None and owner != waiting:
            yield _customer(world, waiting, cards, source.at(waiting, 0))
            cards = []
        waiting = owner
        card = world.cardholders.get(index)
        cards.append(CustomerCard(card=card.token, last4=card.last4, account=card.account))
    if waiting is not None:
        yield _customer(world, waiting, cards, source.at(waiting, 0))


def customer_of(world: World, number: int, replaced: CardEvent) -> Customer | None:
    """The customer of the ``number``-th card, with the card that took the place of another of theirs; None where the
    directory does not know whose it is."""
    owner = world.cardholders.owner(number)
    if owner is None:
        return None
    near = range(owner, min(world.cards, owner + 2))  # some hold the next card too
    held = [world.cardholders.get(each) for each in near if world.cardholders.owner(each) == owner]
    cards = [CustomerCard(card=card.token, last4=card.last4, account=card.account) for card in held]
    of = next(card for card in held if card.number == number)
    if replaced.new_card is not None:
        cards.append(CustomerCard(card=replaced.new_card, last4=of.last4, account=of.account))
    return _customer(world, owner, cards, Source(world.seed, "customers").at(owner, 0))


def fictional_number(place: int) -> str:
    """The ``place``-th number kept for fiction, E.164."""
    area = AREA_CODES[place // FICTION_PER_AREA % len(AREA_CODES)]
    return f"+1{area}55501{place % FICTION_PER_AREA:02d}"


def _customer(world: World, number: int, cards: list[CustomerCard], draws: Draws) -> Customer:
    english = draws.chance(0.15)
    name = (
        f"{draws.pick(_GIVEN_EN)} {draws.pick(_SURNAMES_EN)}" if english else draws.pick(_SURNAMES) + draws.pick(_GIVEN)
    )
    identity = f"C{number + 1:07d}"
    return Customer(
        customer=identity,
        name=name,
        language="en" if english else "zh-CN",
        time_zone=TIME_ZONE,
        country=HOME_COUNTRY,
        phones=_phones(world, number, draws),
        email=f"{identity.lower()}@example.com" if draws.chance(0.7) else None,
        app_id=f"app-{draws.identifier()[:16]}" if draws.chance(0.6) else None,
        wechat_id=f"wx-{draws.identifier()[:16]}" if draws.chance(0.5) else None,
        preferred_channel=draws.pick(("voice", "voice", "sms", "app", None)),
        consent={
            "marketing": draws.chance(0.3),
            "reminders": draws.chance(0.85),
            "automated_calls": draws.chance(0.95),
        },
        notices={"above_amount": 100_000, "abroad": True, "online": False} if draws.chance(0.25) else {},
        cards=list(cards),
    )


def _phones(world: World, number: int, draws: Draws) -> list[Phone]:
    if draws.chance(0.04):
        return []
    age_days = draws.between(1, 29) if draws.chance(0.04) else draws.between(60, 3000)
    phones = [Phone(fictional_number(2 * number), "mobile", moment(world.start - age_days * DAY_S))]
    if draws.chance(0.25):
        phones.append(Phone(fictional_number(2 * number + 1), "home", moment(world.start - 3000 * DAY_S)))
    return phones
