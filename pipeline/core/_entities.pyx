# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What a poll knows of its entities, in C: four digests a transaction, what labels say of each, the moment itself."""

from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.math cimport NAN, exp, fmod
from libc.stdint cimport uint8_t, uint64_t

import numpy as np

from pipeline.core._transaction cimport digest_of


cdef inline uint64_t digest(text) except? 0:
    cdef uint8_t[8] made
    cdef uint64_t value = 0
    cdef int byte
    if text is None:
        return 0
    digest_of(text, made)
    for byte in range(8):  # little endian, whatever the machine
        value |= <uint64_t>made[byte] << 8 * byte
    return value


def fill(list rows not None, double[::1] times, uint64_t[:, ::1] digests):
    """Fill ``times`` and the lines of ``digests``: terminal, merchant, card, customer."""
    cdef Py_ssize_t at
    if times.shape[0] != len(rows) or digests.shape[0] != 4 or digests.shape[1] != len(rows):
        raise ValueError("one place for each row, four digests each")
    for at in range(len(rows)):
        event = rows[at][1]
        transaction = event.transaction
        customer = transaction.customer
        times[at] = event.at
        digests[0, at] = digest(transaction.terminal)
        digests[1, at] = digest(transaction.merchant)
        digests[2, at] = digest(transaction.card)
        digests[3, at] = digest(transaction.account if customer is None else customer)


def digest_of_text(text):
    """`pipeline.core.entities.digest_of`."""
    return digest(text)


def digests_of(texts):
    """The digests of ``texts``, uint64[n]."""
    cdef Py_ssize_t at
    found = np.empty(len(texts), dtype=np.uint64)
    cdef uint64_t[::1] digests = found
    for at, text in enumerate(texts):
        digests[at] = digest(text)
    return found


cdef double number_of(str mcc) except? -1.0:
    """int(mcc), of four digits without asking Python."""
    cdef Py_ssize_t size, place
    cdef const char* text = PyUnicode_AsUTF8AndSize(mcc, &size)
    cdef int number = 0
    for place in range(4):
        if size != 4 or not 48 <= text[place] <= 57:
            return <double>int(mcc)
        number = 10 * number + text[place] - 48
    return number


def fill_moments(list rows not None, const double[:] times, double[:, ::1] found, dict modes not None):
    """`pipeline.core.moment.moments` into ``found``."""
    cdef Py_ssize_t at
    cdef double second
    if times.shape[0] != len(rows) or found.shape[0] != len(rows) or found.shape[1] != 3:
        raise ValueError("a time and three places for each row")
    for at in range(len(rows)):
        transaction = rows[at][1].transaction
        second = fmod(times[at], 86_400.0) + 0.0  # and no zero below zero
        found[at, 0] = (second + 86_400.0 if second < 0.0 else second) / 3_600.0
        mcc, mode = transaction.mcc, modes.get(transaction.entry_mode)
        found[at, 1] = NAN if mcc is None else number_of(mcc)
        found[at, 2] = NAN if mode is None else <double>mode


def fill_values(dict lines not None, const double[:, ::1] standings, const uint64_t[:] digests, const double[:] times,
                double[:, ::1] found, Py_ssize_t column):
    """`pipeline.core.entity_standing.values` of those of ``digests`` that have a line of ``standings``, into six columns of
    ``found`` from ``column`` on; the others are left as they are."""
    cdef Py_ssize_t at, line
    cdef double fade, unexplained, explained
    if not (digests.shape[0] == times.shape[0] == found.shape[0]) or column < 0 or column + 6 > found.shape[1] or standings.shape[1] != 7:
        raise ValueError("a time and six places for each digest, seven numbers a standing")
    for at in range(digests.shape[0]):
        if not digests[at]:
            continue
        place = lines.get(digests[at])
        if place is None:
            continue
        line = place
        if not 0 <= line < standings.shape[0]:
            raise ValueError("a line that is not there")
        fade = exp(min(standings[line, 3] - times[at], 0.0) / (30 * 86_400.0))
        unexplained, explained = standings[line, 0] * fade, standings[line, 1] * fade
        found[at, column] = unexplained
        found[at, column + 1] = explained
        found[at, column + 2] = (unexplained + explained + 0.005) / (standings[line, 2] * fade + 1.0)
        found[at, column + 3] = standings[line, 4]
        found[at, column + 4] = (times[at] - standings[line, 5]) / 86_400.0
        found[at, column + 5] = standings[line, 6]
