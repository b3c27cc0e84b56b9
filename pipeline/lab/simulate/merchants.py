"""Merchants: what they sell, where they stand, what things cost there.

Every city has ``PER_CITY`` merchants of each kind, spread over ``ZONES`` quarters, so that a cardholder's favourites
can be near home. Online shops have no terminal and no coordinates; one in five is abroad. A merchant is made when it
is first asked for and kept (at most cities × categories × ``PER_CITY``).
"""

from itertools import accumulate
from typing import NamedTuple

from pipeline.lab.simulate.draws import Source
from pipeline.lab.simulate.places import CITIES, FOREIGN_CITIES, HOME_CITIES, City

PER_CITY = 36
ZONES = 6
ONLINE = -1
"""Stands where a city's index stands, for shops that are nowhere in particular."""


class Category(NamedTuple):
    """``median`` of a purchase in fen and its log-normal ``sigma``; ``weight`` in daily life, ``thief`` in a spree."""

    key: str
    mcc: str
    name: str
    name_zh: str
    median: int
    sigma: float
    weight: float
    thief: float
    online: bool = False


CATEGORIES = (
    Category("grocery", "5411", "Market", "超市", 6000, 0.8, 22, 4),
    Category("convenience", "5499", "Corner Shop", "便利店", 1800, 0.6, 14, 5),
    Category("restaurant", "5812", "Kitchen", "餐厅", 8500, 0.7, 14, 4),
    Category("fast_food", "5814", "Noodles", "快餐", 3200, 0.5, 12, 3),
    Category("transit", "4111", "Metro", "公交", 500, 0.5, 9, 1),
    Category("taxi", "4121", "Cabs", "出租车", 2800, 0.6, 4, 2),
    Category("fuel", "5541", "Fuel", "加油站", 28000, 0.4, 4, 5),
    Category("pharmacy", "5912", "Pharmacy", "药房", 7000, 0.8, 3, 3),
    Category("clothing", "5651", "Fashion", "服饰", 26000, 0.8, 3.5, 8),
    Category("department", "5311", "Department Store", "百货", 32000, 0.9, 3.5, 8),
    Category("electronics", "5732", "Electronics", "电器", 80000, 1.0, 1.3, 9),
    Category("jewellery", "5944", "Jewellers", "珠宝", 130000, 0.9, 0.3, 6),
    Category("hotel", "7011", "Hotel", "酒店", 45000, 0.5, 0.8, 2),
    Category("cinema", "7832", "Cinema", "影院", 8000, 0.5, 1.5, 2),
    Category("beauty", "7230", "Beauty", "美容", 16000, 0.8, 1.0, 2),
    Category("hospital", "8062", "Hospital", "医院", 20000, 1.1, 1.0, 0.3),
    Category("marketplace", "5999", "Mall Online", "网上商城", 11000, 1.0, 12, 12, True),
    Category("delivery", "5814", "Delivery", "外卖", 3800, 0.5, 10, 4, True),
    Category("digital", "5816", "Games", "游戏", 2500, 0.9, 3, 5, True),
    Category("travel", "4722", "Travel", "旅行社", 80000, 0.9, 0.9, 3, True),
    Category("media", "4899", "Media", "影音会员", 2500, 0.5, 0, 0, True),
    Category("cash", "6011", "Bank ATM", "银行ATM", 80000, 0.7, 0, 0),
)
BY_KEY = {category.key: number for number, category in enumerate(CATEGORIES)}
CASH = BY_KEY["cash"]
MEDIA = BY_KEY["media"]
DIGITAL = BY_KEY["digital"]
MARKETPLACE = BY_KEY["marketplace"]
SHOPPING = tuple(BY_KEY[key] for key in ("clothing", "department", "convenience", "fast_food", "cinema", "electronics"))
LARGE = tuple(BY_KEY[key] for key in ("electronics", "jewellery", "department", "travel", "hospital", "hotel"))
THIEF_WEIGHTS = tuple(accumulate(category.thief for category in CATEGORIES))

_NAMES = (
    "Lotus",
    "Cedar",
    "Harbour",
    "Amber",
    "Willow",
    "Juniper",
    "Falcon",
    "Maple",
    "Orchid",
    "Pine",
    "Coral",
    "Dune",
)
_NAMES_ZH = ("嘉禾", "云杉", "青竹", "望江", "百草", "星桥", "海棠", "小满", "一叶", "松风", "白鹭", "木兰")


class Merchant(NamedTuple):
    """``price``: how dear the place is, 1 = usual. Coordinates are degrees, None online."""

    id: str
    name: str
    category: Category
    city: City
    latitude: float | None
    longitude: float | None
    price: float
    terminals: int


class Merchants:
    """All merchants of one seed, by (city, category, number)."""

    def __init__(self, seed: int) -> None:
        self._source = Source(seed, "merchants")
        self._made: dict[tuple[int, int, int], Merchant] = {}

    def get(self, city: int, category: int, number: int) -> Merchant:
        """``city`` is ignored for online categories. ``number`` is taken modulo ``PER_CITY``; number modulo
        ``ZONES`` is the quarter of the city it stands in."""
        number %= PER_CITY
        key = (ONLINE if CATEGORIES[category].online else city, category, number)
        merchant = self._made.get(key)
        if merchant is None:
            merchant = self._made[key] = self._make(*key)
        return merchant

    def _make(self, city_number: int, category_number: int, number: int) -> Merchant:
        draws = self._source.at(city_number + 1, category_number, number)
        category = CATEGORIES[category_number]
        identity = f"M{draws.identifier()[:12].upper()}"
        price = draws.lognormal(1.0, 0.25)
        if city_number == ONLINE:
            city = draws.pick(FOREIGN_CITIES) if number % 5 == 4 else draws.pick(HOME_CITIES)
            return Merchant(identity, _name(category, city, number), category, city, None, None, price, 0)
        city = CITIES[city_number]
        latitude, longitude = zone_centre(city, number % ZONES)
        return Merchant(
            identity,
            _name(category, city, number),
            category,
            city,
            round(latitude + 0.012 * draws.normal(), 5),
            round(longitude + 0.012 * draws.normal(), 5),
            price,
            draws.integer(1, 4),
        )


def zone_centre(city: City, zone: int) -> tuple[float, float]:
    """The quarters lie on a grid of two by three, about 6 km apart. Degrees."""
    return city.latitude + 0.06 * (zone % 2 - 0.5), city.longitude + 0.06 * (zone // 2 - 1)


def _name(category: Category, city: City, number: int) -> str:
    if city.country == "CN":
        return f"{_NAMES_ZH[number % len(_NAMES_ZH)]}{category.name_zh}{number // len(_NAMES_ZH) + 1}店"
    return f"{_NAMES[number % len(_NAMES)]} {category.name} {number // len(_NAMES) + 1}"
