"""What a card usually does, and how a transaction departs from it: hours, entry modes, countries, categories,
merchants, and the size of its amounts.

A habit is what stood in the row before the transaction; until five spends are known there is none, and the comparison
is missing (NaN).
"""

import math
import zlib
from typing import Final

from pipeline.core import profile_row as layout
from pipeline.core.profile_row import bump, find, to_front
from pipeline.core.transaction import Transaction

MIN_SPENDS: Final = 5
"""Below this many spends a card has no habits to compare with."""
MEMORY_SPENDS: Final = 64.0
CLIP_DEVIATIONS: Final = 3.0
MIN_DEVIATION: Final = 0.3
"""Of log amounts: a card that always pays the same is not alarmed by a third more."""
YOUNG_DEVIATION: Final = 1.0
ENTRY_MODES: Final = {"chip": 0, "contactless": 1, "magstripe": 2, "manual": 3, "ecommerce": 4, "stored": 5}

_nan = math.nan


def learn_amount(x: float, spends: int, mean: float, deviation: float) -> tuple[float, float]:
    """Mean and mean absolute deviation after one more log amount."""
    if not spends:
        return x, 0.0
    limit = CLIP_DEVIATIONS * max(deviation, MIN_DEVIATION if spends >= MIN_SPENDS else YOUNG_DEVIATION)
    gap = min(max(x - mean, -limit), limit)
    mean += gap / min(spends + 1.0, MEMORY_SPENDS)
    return mean, deviation + (abs(gap) - deviation) / min(float(spends), MEMORY_SPENDS)


def habits_of(
    row: bytes, transaction: Transaction, hour: int, spends: int, spend: bool
) -> tuple[bytes, tuple[float, float, float, float, float, float, float]]:
    """The part of the row from hours to merchants, learned from a spend, and new_merchant, new_country, new_mcc,
    new_entry_mode, entry_mode_rare, hour_rarity, abroad."""
    known = spends >= MIN_SPENDS
    hours = row[layout.HOURS : layout.MODES]
    modes = row[layout.MODES : layout.COUNTRY_COUNTS]
    counts = row[layout.COUNTRY_COUNTS : layout.COUNTRIES]
    countries = row[layout.COUNTRIES : layout.MCCS]
    mccs = row[layout.MCCS : layout.MERCHANTS]
    merchants = row[layout.MERCHANTS : layout.SPARE]
    new_merchant = new_country = new_mcc = new_mode = rare_mode = rare_hour = abroad = _nan
    if known:
        # this hour and its neighbours, with one spend more at random: 1/8 of them would fall there by chance
        near = hours[hour - 1] + hours[hour] + hours[(hour + 1) % 24]
        rare_hour = max(1.0 - 8.0 * (near + 1.0) / (sum(hours) + 8.0), 0.0)
    if spend:
        hours = bump(hours, hour)
    if transaction.entry_mode is not None:
        mode = ENTRY_MODES[transaction.entry_mode]
        if known:
            new_mode = 0.0 if modes[mode] else 1.0
            rare_mode = 1.0 - (modes[mode] + 0.5) / (sum(modes) + 1.0)
        if spend:
            modes = bump(modes, mode)
    if transaction.country is not None:
        home = transaction.home_country or _home(countries, counts)
        abroad = _nan if home is None else float(transaction.country != home)
        code = transaction.country.encode()
        at = find(countries, code)
        if known:
            new_country = float(at < 0 and transaction.country != home)
        if spend:
            countries, counts = _learn_country(countries, counts, code, at)
    if transaction.mcc is not None:
        category = (int(transaction.mcc) + 1).to_bytes(2, "little")
        at = find(mccs, category)
        if known:
            new_mcc = float(at < 0)
        if spend:
            mccs = to_front(mccs, category, at)
    if transaction.merchant:
        merchant = (zlib.crc32(transaction.merchant.encode()) or 1).to_bytes(4, "little")
        at = find(merchants, merchant)
        if known:
            new_merchant = float(at < 0)
        if spend:
            merchants = to_front(merchants, merchant, at)
    habits = b"".join((hours, modes, counts, countries, mccs, merchants))
    return habits, (new_merchant, new_country, new_mcc, new_mode, rare_mode, rare_hour, abroad)


def _home(countries: bytes, counts: bytes) -> str | None:
    """The country of most spends, once five have one."""
    if sum(counts) < MIN_SPENDS:
        return None
    at = 2 * counts.index(max(counts))
    return countries[at : at + 2].decode()


def _learn_country(countries: bytes, counts: bytes, code: bytes, at: int) -> tuple[bytes, bytes]:
    """One more spend in a country; a new one takes the slot of the least counted."""
    if at < 0:
        slot = counts.index(min(counts))
        at = 2 * slot
        countries = countries[:at] + code + countries[at + 2 :]
        counts = counts[:slot] + b"\0" + counts[slot + 1 :]
    return countries, bump(counts, at // 2)
