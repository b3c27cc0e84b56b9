# cython: language_level=3, boundscheck=False, wraparound=False
"""`pipeline.core.entities.entity_keys` in C: four digests a transaction."""

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
