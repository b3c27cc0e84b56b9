# cython: language_level=3, boundscheck=False, wraparound=False
"""`pipeline.core.profile.advance` for one partition's share of a poll, compiled: equal rows to the byte, equal features to
the bit, in about a tenth of the time.

What is computed, and why, is said in that module and its neighbours `profile_habits` and `profile_row`; the names and
the order of every sum are theirs, for another order would round differently. What is different here: a row is a C
struct laid over the bytes of a fresh copy, each function changes that copy in place, and features go straight into the
matrix. It is compiled with ``-ffp-contract=off``: a fused multiply-add would round once where Python rounds twice.
`tests/core_profile/test_compiled_advance.py` holds the two forms to each other.
"""

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_SET_ITEM
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.math cimport NAN, asin, cos, exp, fabs, isnan, log1p, sin, sqrt
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

from pipeline.core._card_row cimport (
    CASHED, CHECKED, COUNTED, COUNTRY_SLOTS, DECLINED, MCC_SLOTS, MERCHANT_SLOTS, RING_SLOTS, SPENT,
    CardRow, bump, days_known, find, find_entry, narrow, remember, reverse, to_front, total,
)
from pipeline.core._transaction cimport (
    Offsets, category_of, checksum_of, digest_of, field, hour_of, of_class, offsets, second_of,
)
from pipeline.core._card_counters cimport Plan, attempted, in_place, passed_by, plan_of, tag_at, taken_back

from pipeline.core import counter_slots, profile, profile_habits, profile_row
from pipeline.core.features import FEATURES
from pipeline.core.poll import Row
from pipeline.core.transaction import Event, Transaction

cdef extern from "Python.h":
    object PyType_GenericAlloc(PyTypeObject*, Py_ssize_t)


cdef enum:  # columns of the matrix, in the order of FEATURES
    AMOUNT, AMOUNT_RATIO, AMOUNT_Z, COUNT_1M, COUNT_10M, COUNT_1H, COUNT_24H, COUNT_7D
    SUM_1M, SUM_10M, SUM_1H, SUM_24H, SUM_7D, COUNT_24H_RATIO, SUM_24H_RATIO, CASH_24H, CASH_7D, IS_CASH
    NEW_MERCHANT, NEW_COUNTRY, NEW_MCC, NEW_MODE, RARE_MODE, RARE_HOUR, SINCE_LAST, KM, SPEED
    DECLINES_1H, DECLINES_24H, CHECKS_1H, ABROAD, SEEN, DAYS, MEAN_24H_RATIO, MEAN_7D_RATIO, MAX_14D_RATIO, COLUMNS

cdef enum:
    SCORED, REPEAT, REVERSAL, CLEARING, CREDIT

cdef enum:
    MIN_SPENDS = 5

cdef double[6] SCALES_S = [60.0, 600.0, 3_600.0, 86_400.0, 604_800.0, 2_592_000.0]  # the last: the usual day's
cdef uint32_t U32 = 0xFFFF_FFFF
cdef double RADIANS = 3.141592653589793 / 180.0
cdef bytes EMPTY_ROW = profile_row.EMPTY_ROW
cdef frozenset APPROVED = profile.APPROVED
cdef dict ENTRY_MODES = profile_habits.ENTRY_MODES
cdef object check_row = profile_row.check_row
cdef double CLIP_DEVIATIONS = profile_habits.CLIP_DEVIATIONS
cdef double MIN_DEVIATION = profile_habits.MIN_DEVIATION
cdef double YOUNG_DEVIATION = profile_habits.YOUNG_DEVIATION
cdef double MEMORY_SPENDS = profile_habits.MEMORY_SPENDS
cdef double MIN_TRAVEL_S = profile.MIN_TRAVEL_S
cdef double EARTH_KM = profile.EARTH_KM
cdef double USUAL_DAYS = profile.USUAL_DAYS
cdef double RECENT_S = profile.RECENT_S

cdef object rearranged = counter_slots.rearranged
cdef double[28] ESTIMATES = counter_slots.DISTINCT_ESTIMATES

cdef Offsets OFFSETS = offsets(Event, Transaction)

if sizeof(CardRow) != profile_row.ROW_BYTES or profile_row.VERSION != 1 or COLUMNS != len(FEATURES):
    raise RuntimeError("pipeline.core._advance was compiled for another row or other features: run `make install`")


def advance_part(
    dict held not None, dict dirty not None, list events not None, list rows not None, matrix, counting=None
):
    """See `pipeline.core.advancing.advance_in_python`."""
    cdef Py_buffer view, values
    cdef Py_ssize_t at = len(rows), repeats = 0, index = 0
    cdef double* features
    cdef bytes row, moved
    cdef int handling = SCORED
    cdef Plan plan
    plan.count = 0
    PyObject_GetBuffer(matrix, &view, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
    try:
        if view.ndim != 2 or view.format != b"d" or view.shape[1] != COLUMNS or view.shape[0] < at + len(events):
            raise ValueError(f"the matrix must be float64[n, {COLUMNS}] with a row for each event")
        if counting is not None:
            plan_of(&plan, &values, counting, at, len(events))
            plan.estimates = ESTIMATES
        for record, event, card in events:
            row = held.get(card, EMPTY_ROW)
            if PyBytes_GET_SIZE(row) != sizeof(CardRow):
                check_row(row)
            features = <double*>view.buf + at * COLUMNS
            moved = _advance(row, event, features, &handling)
            index += 1
            if handling == REPEAT:
                repeats += 1
                continue
            if plan.count:
                _count_own(row, moved, event, handling, index - 1, &plan, plan.values + at * plan.count, counting)
            elif tag_at(<const CardRow*>PyBytes_AS_STRING(moved), 0):
                memset((<CardRow*>PyBytes_AS_STRING(moved)).spare, 0, 64)
            held[card] = dirty[card] = moved
            rows.append(_poll_row(record, event, handling != SCORED))
            at += 1
    finally:
        PyBuffer_Release(&view)
        if plan.count:
            PyBuffer_Release(&values)
    return repeats


cdef int _count_own(
    bytes row, bytes moved, event, int handling, Py_ssize_t index, const Plan* plan, double* values, counting
) except -1:
    """The bank's own counters of ``moved``, the row after ``event``, and their values."""
    cdef const CardRow* before = <const CardRow*>PyBytes_AS_STRING(row)
    cdef CardRow* card = <CardRow*>PyBytes_AS_STRING(moved)
    cdef int number, original
    cdef bytes spare
    cdef double amount = field(event, OFFSETS.amount)
    if before.seen == 0 and tag_at(card, 0) == 0:  # what `rearranged` makes of a card never seen
        memcpy(card.spare, plan.begun, 64)
    elif not in_place(card, plan):
        spare = rearranged(card.spare[:64], counting.counters.slots, before.seen == 0)
        memcpy(card.spare, PyBytes_AS_STRING(spare), 64)
    if handling == SCORED:
        attempted(before, card, plan, field(event, OFFSETS.at), amount, index, values)
        return 0
    if handling == REVERSAL:
        original = _find_original(before, field(field(event, OFFSETS.transaction), OFFSETS.original_id))
        if original >= 0:
            taken_back(before, card, plan, original, amount)
    passed_by(card)
    for number in range(plan.count):
        values[number] = NAN
    return 0


cdef inline object _poll_row(object record, object event, bint exempt):
    """``Row(record, event, exempt)``, without a call into Python: that would cost as much as all six exponentials."""
    cdef object row = PyType_GenericAlloc(<PyTypeObject*>Row, 3)
    cdef object flag = exempt
    for item in (record, event, flag):
        Py_INCREF(item)
    PyTuple_SET_ITEM(row, 0, record)
    PyTuple_SET_ITEM(row, 1, event)
    PyTuple_SET_ITEM(row, 2, flag)
    return row


cdef bytes _advance(bytes row, event, double* features, int* handling):
    of_class(event, Event)
    cdef object transaction = field(event, OFFSETS.transaction)
    of_class(transaction, Transaction)
    cdef double at = field(event, OFFSETS.at), amount = field(event, OFFSETS.amount)
    cdef uint8_t[8] digest
    cdef const CardRow* before = <const CardRow*>PyBytes_AS_STRING(row)
    cdef int original = -1
    cdef str type = field(transaction, OFFSETS.type)
    if not fabs(at) < 1e15:
        raise ValueError("a transaction's time is beyond any calendar")
    digest_of(field(transaction, OFFSETS.id), digest)
    if find_entry(before, digest) >= 0:
        handling[0] = REPEAT
        return row
    if type == "reversal" or type == "clearing":
        original = _find_original(before, field(transaction, OFFSETS.original_id))
    cdef bytes moved = PyBytes_FromStringAndSize(<const char*>before, sizeof(CardRow))
    cdef CardRow* card = <CardRow*>PyBytes_AS_STRING(moved)
    cdef str kind = field(transaction, OFFSETS.kind)
    if type == "reversal":
        handling[0] = REVERSAL
        if original >= 0:
            reverse(card, &card.ring[original], amount, SCALES_S)
    elif kind == "refund" or kind == "payment":
        handling[0] = CREDIT
    elif original >= 0:
        handling[0] = CLEARING
    else:
        handling[0] = SCORED
        _count(card, transaction, kind, at, amount, digest, features)
        return moved
    remember(card, digest, at, 0.0, 0)
    _standing(card, amount, features)
    return moved


cdef int _count(
    CardRow* card, transaction, str kind, double at, double amount, const uint8_t* digest, double* features
) except -1:
    """An attempt: the row with it counted (and learned from, if it is a spend), and its features."""
    cdef str response_code = field(transaction, OFFSETS.response_code), mcc = field(transaction, OFFSETS.mcc)
    cdef int category = category_of(mcc)
    cdef bint declined = response_code is not None and response_code not in APPROVED
    cdef bint check = amount == 0.0 or kind == "verification"
    cdef bint spend = not (declined or check)
    cdef bint is_cash = kind == "cash" or category == 6_010 + 1 or category == 6_011 + 1
    cdef double spent = amount if spend else 0.0
    cdef uint32_t seen = card.seen, spends = card.spends, second = second_of(at)
    cdef double since = at - card.newest
    cdef double[6] fade, weight
    cdef int scale
    for scale in range(6):
        if since >= 0.0:  # the newest event: the past fades, this one weighs 1
            fade[scale], weight[scale] = exp(-since / SCALES_S[scale]), 1.0
        else:  # a late one: the past stays, this one has faded already
            fade[scale], weight[scale] = 1.0, exp(since / SCALES_S[scale])
    if since >= 0.0:
        card.newest = at
    for scale in range(5):
        features[COUNT_1M + scale] = card.counts[scale] * fade[scale] + weight[scale]
        card.counts[scale] = <float>features[COUNT_1M + scale]
        features[SUM_1M + scale] = card.sums[scale] * fade[scale] + spent * weight[scale]
        card.sums[scale] = narrow(features[SUM_1M + scale])
    for scale in range(2):
        features[DECLINES_1H + scale] = card.declines[scale] * fade[2 + scale] + (weight[2 + scale] if declined else 0.0)
        card.declines[scale] = <float>features[DECLINES_1H + scale]
        features[CASH_24H + scale] = card.cash[scale] * fade[3 + scale] + (weight[3 + scale] if spend and is_cash else 0.0)
        card.cash[scale] = <float>features[CASH_24H + scale]
    features[CHECKS_1H] = card.checks * fade[2] + (weight[2] if check else 0.0)
    card.checks = <float>features[CHECKS_1H]
    cdef double usual_count = card.usual_count * fade[5], usual_sum = card.usual_sum * fade[5]

    features[AMOUNT] = amount
    features[IS_CASH] = is_cash
    features[SINCE_LAST] = since if seen and since >= 0.0 else NAN
    features[SEEN] = seen
    features[DAYS] = days_known(card)
    _unusual_amount(card, amount, check, usual_count, usual_sum, features)
    _recent_amounts(card, at, features)
    cdef bint here = _journey(card, transaction, at, features)
    _habits(card, transaction, category, at, spend, features)

    cdef double mean = card.mean, deviation = card.deviation, cap = amount
    if spend:
        if spends >= MIN_SPENDS:
            cap = exp(mean + CLIP_DEVIATIONS * max(deviation, MIN_DEVIATION))
        usual_count += weight[5]
        usual_sum += weight[5] * min(amount, cap)
        _learn_amount(card, log1p(amount))
        card.spends += spends < U32
        if here and since >= 0.0:
            card.latitude, card.longitude, card.place_at = field(transaction, OFFSETS.latitude), field(transaction, OFFSETS.longitude), second
    card.usual_count, card.usual_sum = <float>usual_count, narrow(usual_sum)
    card.zero = 0
    card.first = min(card.first, second) if seen else second
    card.seen += seen < U32
    remember(
        card, digest, at, spent,
        COUNTED | SPENT * spend | CASHED * (spend and is_cash) | CHECKED * check | DECLINED * declined,
    )
    return 0


cdef void _standing(const CardRow* card, double amount, double* features) noexcept:
    """Features of what is not scored: its amount, the counters as of the newest event, no comparison."""
    cdef int column, scale
    for column in range(COLUMNS):
        features[column] = NAN
    features[AMOUNT] = amount
    for scale in range(5):
        features[COUNT_1M + scale] = card.counts[scale]
        features[SUM_1M + scale] = card.sums[scale]
    for scale in range(2):
        features[CASH_24H + scale] = card.cash[scale]
        features[DECLINES_1H + scale] = card.declines[scale]
    features[CHECKS_1H] = card.checks
    features[IS_CASH] = 0.0
    features[SEEN] = card.seen
    features[DAYS] = days_known(card)


cdef void _unusual_amount(
    const CardRow* card, double amount, bint check, double usual_count, double usual_sum, double* features
) noexcept:
    features[AMOUNT_RATIO] = features[AMOUNT_Z] = features[COUNT_24H_RATIO] = features[SUM_24H_RATIO] = NAN
    if card.spends < MIN_SPENDS:
        return
    cdef double usual = exp(card.mean)
    cdef double observed_days = max(USUAL_DAYS * (1.0 - exp(features[DAYS] / -USUAL_DAYS)), 1.0)
    features[COUNT_24H_RATIO] = features[COUNT_24H] / (1.0 + usual_count / observed_days)
    features[SUM_24H_RATIO] = features[SUM_24H] / (usual + usual_sum / observed_days)
    if not check:
        features[AMOUNT_RATIO] = amount / usual
        features[AMOUNT_Z] = (log1p(amount) - card.mean) / (1.2533 * max(<double>card.deviation, MIN_DEVIATION))


cdef void _recent_amounts(const CardRow* card, double at, double* features) noexcept:
    features[MEAN_24H_RATIO] = features[MEAN_7D_RATIO] = features[MAX_14D_RATIO] = NAN
    if card.spends < MIN_SPENDS:
        return
    cdef double usual = exp(card.mean), largest = 0.0
    cdef int slot
    for slot in range(RING_SLOTS):
        if card.ring[slot].amount > largest and at - (card.ring[slot].second + card.ring[slot].tick / 256.0) < RECENT_S:
            largest = card.ring[slot].amount
    features[MEAN_24H_RATIO] = features[SUM_24H] / max(features[COUNT_24H], 1.0) / usual
    features[MEAN_7D_RATIO] = features[SUM_7D] / max(features[COUNT_7D], 1.0) / usual
    features[MAX_14D_RATIO] = largest / usual


cdef bint _journey(const CardRow* card, transaction, double at, double* features) except -1:
    """Kilometres and speed from the last place; whether this transaction has a place."""
    features[KM] = features[SPEED] = NAN
    cdef object latitude = field(transaction, OFFSETS.latitude), longitude = field(transaction, OFFSETS.longitude)
    cdef str mode = field(transaction, OFFSETS.entry_mode)
    if latitude is None or longitude is None or mode == "ecommerce" or mode == "stored":
        return False
    if isnan(card.latitude):
        return True
    cdef double here_latitude = latitude, here_longitude = longitude
    cdef double a = card.latitude * RADIANS, b = here_latitude * RADIANS
    cdef double across = sin((b - a) / 2.0)
    cdef double along = sin((here_longitude - card.longitude) * RADIANS / 2.0)
    cdef double chord = across * across + cos(a) * cos(b) * along * along
    cdef double km = 2.0 * EARTH_KM * asin(sqrt(min(chord, 1.0)))
    features[KM] = km
    features[SPEED] = km / (max(fabs(at - card.place_at), MIN_TRAVEL_S) / 3_600.0)
    return True


cdef void _learn_amount(CardRow* card, double x) noexcept:
    """Mean and mean absolute deviation after one more log amount."""
    cdef double spends = card.spends, mean = card.mean, deviation = card.deviation
    if card.spends == 0:
        card.mean, card.deviation = <float>x, 0.0
        return
    cdef double limit = CLIP_DEVIATIONS * max(deviation, MIN_DEVIATION if card.spends >= MIN_SPENDS else YOUNG_DEVIATION)
    cdef double gap = min(max(x - mean, -limit), limit)
    card.mean = <float>(mean + gap / min(spends + 1.0, MEMORY_SPENDS))
    card.deviation = <float>(deviation + (fabs(gap) - deviation) / min(spends, MEMORY_SPENDS))


cdef int _habits(CardRow* card, transaction, int category, double at, bint spend, double* features) except -1:
    """How the transaction departs from the card's habits; a spend is then learned from."""
    cdef bint known = card.spends >= MIN_SPENDS
    cdef str entry_mode = field(transaction, OFFSETS.entry_mode), country = field(transaction, OFFSETS.country), merchant = field(transaction, OFFSETS.merchant)
    cdef int hour = hour_of(at), near, mode, place
    cdef uint16_t item = category
    cdef uint32_t checksum
    features[NEW_MERCHANT] = features[NEW_COUNTRY] = features[NEW_MCC] = features[NEW_MODE] = NAN
    features[RARE_MODE] = features[RARE_HOUR] = features[ABROAD] = NAN
    if known:
        near = card.hours[(hour + 23) % 24] + card.hours[hour] + card.hours[(hour + 1) % 24]
        features[RARE_HOUR] = max(1.0 - 8.0 * (near + 1.0) / (total(card.hours, 24) + 8.0), 0.0)
    if spend:
        bump(card.hours, 24, hour)
    if entry_mode is not None:
        mode = ENTRY_MODES[entry_mode]
        if known:
            features[NEW_MODE] = 0.0 if card.modes[mode] else 1.0
            features[RARE_MODE] = 1.0 - (card.modes[mode] + 0.5) / (total(card.modes, 8) + 1.0)
        if spend:
            bump(card.modes, 8, mode)
    if country is not None:
        _visit(card, country, field(transaction, OFFSETS.home_country), known, spend, features)
    if category:
        place = find(card.mccs, MCC_SLOTS, 2, &item, 2)
        if known:
            features[NEW_MCC] = place < 0
        if spend:
            to_front(card.mccs, MCC_SLOTS, 2, &item, place)
    if merchant:
        checksum = checksum_of(merchant)
        place = find(card.merchants, MERCHANT_SLOTS, 4, &checksum, 4)
        if known:
            features[NEW_MERCHANT] = place < 0
        if spend:
            to_front(card.merchants, MERCHANT_SLOTS, 4, &checksum, place)
    return 0


cdef int _visit(CardRow* card, str country, str home_country, bint known, bint spend, double* features) except -1:
    """The country of a transaction: new to the card, away from home; counted for a spend."""
    cdef Py_ssize_t size
    cdef const char* code = PyUnicode_AsUTF8AndSize(country, &size)
    cdef int at, slot, home
    cdef bint away = True
    if size != 2:
        raise ValueError("country must be two capital letters")
    if home_country:
        away = country != home_country
        features[ABROAD] = away
    elif total(card.country_counts, COUNTRY_SLOTS) >= MIN_SPENDS:
        home = 0
        for slot in range(1, COUNTRY_SLOTS):
            if card.country_counts[slot] > card.country_counts[home]:
                home = slot
        away = memcmp(&card.countries[2 * home], code, 2) != 0
        features[ABROAD] = away
    at = find(card.countries, COUNTRY_SLOTS, 2, code, 2)
    if known:
        features[NEW_COUNTRY] = at < 0 and away
    if not spend:
        return 0
    if at < 0:  # it takes the slot of the least counted
        at = 0
        for slot in range(1, COUNTRY_SLOTS):
            if card.country_counts[slot] < card.country_counts[at]:
                at = slot
        memcpy(&card.countries[2 * at], code, 2)
        card.country_counts[at] = 0
    bump(card.country_counts, COUNTRY_SLOTS, at)
    return 0


cdef int _find_original(const CardRow* card, str identifier) except -2:
    cdef uint8_t[8] digest
    if identifier is None:
        return -1
    digest_of(identifier, digest)
    return find_entry(card, digest)
