# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The loops of `pipeline.core.merchant_habits`, compiled: same numbers, in the same order, to the bit."""

from libc.math cimport NAN, exp, fabs, floor, log1p
from libc.stdint cimport int64_t, uint8_t

import numpy as np

from pipeline.core import merchant_habits as _habits
from pipeline.core import profile_habits as _amounts

cdef double HOUR_S = _habits.HOUR_S
cdef double DAY_S = _habits.DAY_S
cdef double MONTH_S = _habits.USUAL_DAYS * _habits.DAY_S
cdef double USUAL_DAYS = _habits.USUAL_DAYS
cdef double CALM = _habits.CALM
cdef double STEP = _habits.STEP
cdef double SIGMA = _habits.SIGMA
cdef double CLIP = _amounts.CLIP_DEVIATIONS
cdef double MEMORY = _amounts.MEMORY_SPENDS
cdef double MIN_DEVIATION = _amounts.MIN_DEVIATION
cdef double YOUNG_DEVIATION = _amounts.YOUNG_DEVIATION
cdef double MIN_SPENDS = _amounts.MIN_SPENDS

cdef enum:
    PAYMENTS, NEWEST, FIRST, MEAN, DEVIATION, DAY, USUAL, NEW_HOUR, NEW_USUAL, WIDTH

assert WIDTH == _habits.WIDTH and NEW_USUAL == _habits.NEW_USUAL


cdef inline double larger(double a, double b) noexcept nogil:
    return a if a > b else b


cdef inline double smaller(double a, double b) noexcept nogil:
    return a if a < b else b


cdef inline double observed_days(const double* line, double at) noexcept nogil:
    return larger(USUAL_DAYS * (1.0 - exp((line[FIRST] - at) / MONTH_S)), 1.0)


cdef void observe(double* line, double at, double amount, bint new) noexcept nogil:
    cdef double since, month, weight, days, faster, payments, x, limit, gap
    if line[NEWEST] == 0.0:
        line[NEWEST] = line[FIRST] = at
    since = larger(at - line[NEWEST], 0.0)
    line[NEWEST] = larger(line[NEWEST], at)
    line[FIRST] = smaller(line[FIRST], at)
    month = exp(-since / MONTH_S)
    line[DAY] = line[DAY] * exp(-since / DAY_S) + 1.0
    line[USUAL] *= month
    line[NEW_HOUR] *= exp(-since / HOUR_S)
    line[NEW_USUAL] *= month
    if new:
        line[NEW_HOUR] += 1.0
    weight = 1.0
    if line[PAYMENTS] >= MIN_SPENDS:
        days = observed_days(line, line[NEWEST])
        faster = larger(line[DAY] / (1.0 + line[USUAL] / days), line[NEW_HOUR] / (1.0 + line[NEW_USUAL] / (24.0 * days)))
        if faster > CALM:
            weight = CALM / faster
    line[USUAL] += weight
    if new:
        line[NEW_USUAL] += weight
    if not amount > 0.0:
        return
    x = log1p(amount)
    payments = line[PAYMENTS]
    line[PAYMENTS] = payments + 1.0
    if payments == 0.0:
        line[MEAN] = x
        return
    limit = CLIP * larger(line[DEVIATION], MIN_DEVIATION if payments >= MIN_SPENDS else YOUNG_DEVIATION)
    gap = smaller(larger(x - line[MEAN], -limit), limit)
    line[MEAN] += weight * gap / smaller(payments + 1.0, MEMORY)
    line[DEVIATION] += weight * (fabs(gap) - line[DEVIATION]) / smaller(payments, MEMORY)


cdef void ratios(const double* line, double at, double* day, double* hour) noexcept nogil:
    cdef double since = larger(at - line[NEWEST], 0.0)
    cdef double days = observed_days(line, at)
    cdef double month = exp(-since / MONTH_S)
    day[0] = (line[DAY] * exp(-since / DAY_S) + 1.0) / (1.0 + line[USUAL] * month / days)
    hour[0] = line[NEW_HOUR] * exp(-since / HOUR_S) / (1.0 + line[NEW_USUAL] * month / (24.0 * days))


cdef void values(const double* line, double at, double amount, double* found) noexcept nogil:
    found[0] = found[1] = found[2] = found[3] = NAN
    if line[NEWEST] == 0.0:
        return
    found[3] = larger(at - line[FIRST], 0.0) / DAY_S
    if line[PAYMENTS] < MIN_SPENDS:
        return
    ratios(line, at, found + 1, found + 2)
    if amount > 0.0:
        found[0] = (log1p(amount) - line[MEAN]) / (SIGMA * larger(line[DEVIATION], MIN_DEVIATION))


cdef bint differs(const double* line, const double* told) noexcept nogil:
    cdef double spread, was, day, hour, day_told, hour_told
    if line[NEWEST] == 0.0:
        return False
    if told[NEWEST] == 0.0 or (told[PAYMENTS] < MIN_SPENDS) != (line[PAYMENTS] < MIN_SPENDS):
        return True
    if line[PAYMENTS] < MIN_SPENDS:
        return False
    spread, was = larger(line[DEVIATION], MIN_DEVIATION), larger(told[DEVIATION], MIN_DEVIATION)
    if fabs(line[MEAN] - told[MEAN]) > STEP * SIGMA * was or fabs(spread - was) > STEP * was:
        return True
    ratios(line, line[NEWEST], &day, &hour)
    ratios(told, line[NEWEST], &day_told, &hour_told)
    return fabs(day - day_told) > STEP * larger(day_told, 1.0) or fabs(hour - hour_told) > STEP * larger(hour_told, 1.0)


cdef bint tell(const double* line, double* told) noexcept nogil:
    cdef int number
    if not differs(line, told):
        return False
    for number in range(WIDTH):
        told[number] = floor(line[number]) if number < MEAN else <double>(<float>line[number])
    return True


def observe_rows(const int64_t[::1] lines, const double[::1] times, const double[::1] amounts, const uint8_t[::1] new, double[:, ::1] state):
    cdef Py_ssize_t at
    for at in range(lines.shape[0]):
        if lines[at]:
            observe(&state[lines[at], 0], times[at], amounts[at], new[at])


def settle(const int64_t[::1] lines, const double[:, ::1] state, double[:, ::1] told):
    cdef Py_ssize_t at
    found = np.zeros(lines.shape[0], dtype=np.uint8)
    cdef uint8_t[::1] changed = found
    for at in range(lines.shape[0]):
        changed[at] = tell(&state[lines[at], 0], &told[lines[at], 0])
    return found


def values_of(const int64_t[::1] lines, const double[::1] times, const double[::1] amounts, const double[:, ::1] told, double[:, ::1] found):
    cdef Py_ssize_t at
    for at in range(lines.shape[0]):
        values(&told[lines[at], 0], times[at], amounts[at], &found[at, 0])


def walk(
    const int64_t[::1] lines, const double[::1] times, const double[::1] amounts, const uint8_t[::1] new,
    const uint8_t[::1] learned, double[:, ::1] state, double[:, ::1] told, double[:, ::1] found, double second,
    list pending not None,
):
    cdef Py_ssize_t at
    cdef int64_t line
    for at in range(lines.shape[0]):
        if floor(times[at]) > second:
            second = floor(times[at])
            for number in pending:
                line = number
                tell(&state[line, 0], &told[line, 0])
            pending.clear()
        values(&told[lines[at], 0], times[at], amounts[at], &found[at, 0])
        if lines[at] and learned[at]:
            observe(&state[lines[at], 0], times[at], amounts[at], new[at])
            pending.append(lines[at])
    return second
