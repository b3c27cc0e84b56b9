"""Where people live and travel: cities with coordinates and the currency spent there.

Rates are fixed round numbers, made for the simulation: they turn an amount abroad into the billing amount.
"""

from itertools import accumulate
from typing import NamedTuple

HOME_COUNTRY = "CN"
HOME_CURRENCY = "CNY"
HOME_UTC_OFFSET_H = 8


class City(NamedTuple):
    """``weight``: how many live there (at home) or travel there (abroad), relative to the others."""

    name: str
    country: str
    latitude: float
    longitude: float
    currency: str
    weight: float


HOME_CITIES = (
    City("Shanghai", "CN", 31.23, 121.47, "CNY", 12),
    City("Beijing", "CN", 39.90, 116.41, "CNY", 10),
    City("Shenzhen", "CN", 22.54, 114.06, "CNY", 9),
    City("Guangzhou", "CN", 23.13, 113.26, "CNY", 8),
    City("Chengdu", "CN", 30.57, 104.07, "CNY", 7),
    City("Hangzhou", "CN", 30.27, 120.16, "CNY", 7),
    City("Wuhan", "CN", 30.59, 114.31, "CNY", 6),
    City("Chongqing", "CN", 29.56, 106.55, "CNY", 6),
    City("Nanjing", "CN", 32.06, 118.80, "CNY", 5),
    City("Xi'an", "CN", 34.34, 108.94, "CNY", 5),
    City("Suzhou", "CN", 31.30, 120.58, "CNY", 5),
    City("Qingdao", "CN", 36.07, 120.38, "CNY", 3),
    City("Changsha", "CN", 28.23, 112.94, "CNY", 3),
    City("Xiamen", "CN", 24.48, 118.09, "CNY", 3),
    City("Kunming", "CN", 25.04, 102.71, "CNY", 3),
    City("Harbin", "CN", 45.80, 126.53, "CNY", 2),
)
FOREIGN_CITIES = (
    City("Hong Kong", "HK", 22.32, 114.17, "HKD", 9),
    City("Macao", "MO", 22.20, 113.54, "MOP", 5),
    City("Tokyo", "JP", 35.68, 139.69, "JPY", 6),
    City("Osaka", "JP", 34.69, 135.50, "JPY", 4),
    City("Bangkok", "TH", 13.76, 100.50, "THB", 6),
    City("Singapore", "SG", 1.35, 103.82, "SGD", 5),
    City("Seoul", "KR", 37.57, 126.98, "KRW", 5),
    City("London", "GB", 51.51, -0.13, "GBP", 2),
    City("Paris", "FR", 48.86, 2.35, "EUR", 2),
    City("New York", "US", 40.71, -74.01, "USD", 2),
    City("Los Angeles", "US", 34.05, -118.24, "USD", 2),
    City("Sydney", "AU", -33.87, 151.21, "AUD", 2),
    City("Dubai", "AE", 25.20, 55.27, "AED", 2),
)
CITIES = HOME_CITIES + FOREIGN_CITIES
HOME_WEIGHTS = tuple(accumulate(city.weight for city in HOME_CITIES))
FOREIGN_WEIGHTS = tuple(accumulate(city.weight for city in FOREIGN_CITIES))

FEN_PER_MINOR_UNIT = {
    "CNY": 1.0,
    "HKD": 0.91,
    "MOP": 0.88,
    "JPY": 4.7,
    "THB": 0.2,
    "SGD": 5.3,
    "KRW": 0.52,
    "GBP": 9.1,
    "EUR": 7.8,
    "USD": 7.1,
    "AUD": 4.7,
    "AED": 1.93,
}
"""Hundredths of a yuan for one minor unit (JPY and KRW have no decimals, so one yen is 4.7 fen)."""
