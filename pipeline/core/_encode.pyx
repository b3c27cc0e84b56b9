# cython: language_level=3, boundscheck=False, wraparound=False
"""Decisions that say nothing but yes, written in C: `pipeline.core.encode` says what a decision is, and writes all the
others."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdio cimport snprintf
from libc.string cimport memcpy

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef unsigned char as_it_is[256]


cdef void fill_table() noexcept:
    cdef int byte
    for byte in range(256):
        as_it_is[byte] = 32 <= byte < 127 and byte != 34 and byte != 92  # no quote, backslash, control or beyond ASCII


fill_table()


cdef inline char* put(char* at, const char* data, Py_ssize_t size) noexcept nogil:
    memcpy(at, data, size)
    return at + size


cdef char* put_text(char* at, const char* before, Py_ssize_t before_size, const char* text, Py_ssize_t size) noexcept nogil:
    """``before``, the text and a quote; NULL when JSON would write a character of it otherwise."""
    cdef Py_ssize_t number
    at = put(at, before, before_size)
    for number in range(size):
        if not as_it_is[<unsigned char>text[number]]:
            return NULL
        at[number] = text[number]
    at[size] = b'"'
    return at + size + 1


cdef bytes digits(long long value):
    cdef char text[24]
    return PyBytes_FromStringAndSize(text, snprintf(text, 24, "%lld", value))


def approvals(list rows, Py_ssize_t start, Py_ssize_t end, const unsigned char[::1] outcomes, list scores,
              list percentiles, list warming, bytes middle, bytes tail, make, names):
    """For each of ``rows[start:end]`` its record, or None where it is more than a plain approval (or has a character
    that JSON escapes). ``scores`` and ``percentiles``: as JSON writes them; ``warming`` bool; ``middle`` stands before
    the score, ``tail`` behind everything; ``make``: NamedTuple of key, value, headers, whose names are ``names``."""
    cdef Py_ssize_t index, id_size, card_size, customer_size = 0, time_size, most
    cdef const char* id_text
    cdef const char* card_text
    cdef const char* customer_text = NULL
    cdef const char* time_text
    cdef char* at
    cdef char* buffer
    cdef bytes score, percentile, value, room = PyBytes_FromStringAndSize(NULL, 1 << 16)
    cdef list made = []
    offset_name, timestamp_name, outcome_name = names
    fresh = tuple.__new__
    outcome = (outcome_name, b"approve")
    buffer = PyBytes_AS_STRING(room)
    for index in range(start, end):
        if outcomes[index]:
            made.append(None)
            continue
        record, event, _ = rows[index]
        transaction = event.transaction
        identifier, card, customer, time = transaction.id, transaction.card, transaction.customer, transaction.time
        id_text = PyUnicode_AsUTF8AndSize(identifier, &id_size)
        card_text = PyUnicode_AsUTF8AndSize(card, &card_size)
        time_text = PyUnicode_AsUTF8AndSize(time, &time_size)
        customer_size = 0
        if customer is not None:
            customer_text = PyUnicode_AsUTF8AndSize(customer, &customer_size)
        score, percentile = scores[index], percentiles[index]
        most = id_size + card_size + customer_size + time_size + PyBytes_GET_SIZE(middle) + PyBytes_GET_SIZE(tail)
        if most + PyBytes_GET_SIZE(score) + PyBytes_GET_SIZE(percentile) + 128 > 1 << 16:
            made.append(None)
            continue
        at = put_text(buffer, b'{"id":"', 7, id_text, id_size)
        if at != NULL:
            at = put_text(at, b',"card":"', 9, card_text, card_size)
        if at != NULL and customer is not None:
            at = put_text(at, b',"customer":"', 13, customer_text, customer_size)
        if at != NULL:
            at = put_text(at, b',"time":"', 9, time_text, time_size)
        if at == NULL:
            made.append(None)
            continue
        at = put(at, PyBytes_AS_STRING(middle), PyBytes_GET_SIZE(middle))
        at = put(at, PyBytes_AS_STRING(score), PyBytes_GET_SIZE(score))
        at = put(at, b',"percentile":', 14)
        at = put(at, PyBytes_AS_STRING(percentile), PyBytes_GET_SIZE(percentile))
        if warming[index]:
            at = put(at, b',"warming_up":true', 18)
        at = put(at, PyBytes_AS_STRING(tail), PyBytes_GET_SIZE(tail))
        value = PyBytes_FromStringAndSize(buffer, at - buffer)
        headers = (
            (offset_name, digits(record.offset)), (timestamp_name, digits(record.timestamp)), outcome,
        )
        made.append(fresh(make, (PyBytes_FromStringAndSize(card_text, card_size), value, headers)))
    return made
