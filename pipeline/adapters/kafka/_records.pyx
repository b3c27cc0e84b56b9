# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Kafka's record batches (format v2), written and read in C: `records` says what they are and does the same in Python.

Source of the layout: Apache Kafka's documentation, "Message format": after a header of 61 bytes a record is its length,
attributes, timestamp delta, offset delta, key, value and headers, all numbers as zigzag varints.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef enum:
    HEADER = 61


cdef inline Py_ssize_t varint_size(int64_t value) noexcept nogil:
    cdef uint64_t zigzag = (<uint64_t>value << 1) ^ <uint64_t>(value >> 63)
    cdef Py_ssize_t size = 1
    while zigzag > 127:
        zigzag >>= 7
        size += 1
    return size


cdef inline char* put_varint(char* at, int64_t value) noexcept nogil:
    cdef uint64_t zigzag = (<uint64_t>value << 1) ^ <uint64_t>(value >> 63)
    while zigzag > 127:
        at[0] = <char>(zigzag & 127 | 128)
        at += 1
        zigzag >>= 7
    at[0] = <char>zigzag
    return at + 1


cdef inline char* put_bytes(char* at, const char* data, Py_ssize_t size) noexcept nogil:
    at = put_varint(at, size)
    memcpy(at, data, size)
    return at + size


cdef Py_ssize_t body_size(object key, bytes value, object headers, Py_ssize_t delta) except -1:
    cdef Py_ssize_t size = 1 + 1 + varint_size(delta)  # attributes, a timestamp delta of zero, offset delta
    cdef Py_ssize_t length
    cdef bytes content
    if key is None:
        size += 1
    else:
        length = PyBytes_GET_SIZE(<bytes?>key)
        size += varint_size(length) + length
    length = PyBytes_GET_SIZE(value)
    size += varint_size(length) + length
    size += varint_size(len(headers))
    for name, content in headers:
        PyUnicode_AsUTF8AndSize(name, &length)
        size += varint_size(length) + length
        length = PyBytes_GET_SIZE(content)
        size += varint_size(length) + length
    return size


cdef char* put_record(char* at, object key, bytes value, object headers, Py_ssize_t delta, Py_ssize_t size) except NULL:
    cdef Py_ssize_t length
    cdef const char* text
    cdef bytes content
    at = put_varint(at, size)
    at[0] = 0
    at[1] = 0
    at = put_varint(at + 2, delta)
    if key is None:
        at = put_varint(at, -1)
    else:
        at = put_bytes(at, PyBytes_AS_STRING(<bytes>key), PyBytes_GET_SIZE(<bytes>key))
    at = put_bytes(at, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    at = put_varint(at, len(headers))
    for name, content in headers:
        text = PyUnicode_AsUTF8AndSize(name, &length)
        at = put_bytes(at, text, length)
        at = put_bytes(at, PyBytes_AS_STRING(content), PyBytes_GET_SIZE(content))
    return at


def pack(records, Py_ssize_t start, Py_ssize_t limit):
    """As many records from ``start`` on as fit into ``limit`` bytes, behind a header's room: (bytearray, count). No
    record at all fits: count 0."""
    cdef Py_ssize_t at = HEADER, room = 4096, count = 0, size, whole, number
    cdef bytearray batch = PyByteArray_FromStringAndSize(NULL, room)
    for number in range(start, len(records)):
        key, value, headers = records[number]
        size = body_size(key, value, headers, count)
        whole = varint_size(size) + size
        if at + whole > limit:
            break
        if at + whole > room:
            room = min(limit, max(2 * room, at + whole))
            PyByteArray_Resize(batch, room)
        put_record(PyByteArray_AS_STRING(batch) + at, key, value, headers, count, size)
        at += whole
        count += 1
    PyByteArray_Resize(batch, at)
    return batch, count


cdef const char* get_varint(const char* at, const char* end, int64_t* value) except NULL:
    cdef uint64_t raw = 0
    cdef int shift = 0
    while at < end and shift <= 63:
        raw |= <uint64_t>(<unsigned char>at[0] & 127) << shift
        if not at[0] & 128:
            value[0] = <int64_t>(raw >> 1) ^ -<int64_t>(raw & 1)
            return at + 1
        at += 1
        shift += 7
    raise ValueError("a batch's records are damaged")


cdef const char* get_bytes(const char* at, const char* end, const char** data, int64_t* size) except NULL:
    at = get_varint(at, end, size)
    if size[0] > end - at:
        raise ValueError("a batch's records are damaged")
    data[0] = at
    return at + size[0] if size[0] > 0 else at


def unpack(const unsigned char[::1] data, Py_ssize_t count, int partition, long long base_offset,
           long long base_timestamp, bint one_timestamp, long long following, make):
    """The records of a batch from the offset ``following`` on. ``data``: what stands behind the batch's header;
    ``one_timestamp``: the broker's own, for all. ``make``: a NamedTuple of partition, offset, timestamp, key, value,
    headers. Raises ValueError for damaged records."""
    cdef const char* at = <const char*>&data[0] if data.shape[0] else NULL
    cdef const char* end = at + data.shape[0]
    cdef const char* stop
    cdef const char* text
    cdef int64_t size, timestamp, delta, length, headers
    cdef Py_ssize_t number
    cdef list records = []
    fresh = tuple.__new__
    for number in range(count):
        at = get_varint(at, end, &size)
        if size < 0 or size > end - at:
            raise ValueError("a batch's records are damaged")
        stop = at + size
        at = get_varint(at + 1, stop, &timestamp)
        at = get_varint(at, stop, &delta)
        if base_offset + delta < following:
            at = stop
            continue
        at = get_bytes(at, stop, &text, &length)
        key = None if length < 0 else PyBytes_FromStringAndSize(text, length)
        at = get_bytes(at, stop, &text, &length)
        value = None if length < 0 else PyBytes_FromStringAndSize(text, length)
        at = get_varint(at, stop, &headers)
        pairs = []
        while headers > 0:
            at = get_bytes(at, stop, &text, &length)
            name = PyUnicode_DecodeUTF8(text, max(length, 0), NULL)
            at = get_bytes(at, stop, &text, &length)
            pairs.append((name, None if length < 0 else PyBytes_FromStringAndSize(text, length)))
            headers -= 1
        records.append(fresh(make, (
            partition, base_offset + delta, base_timestamp if one_timestamp else base_timestamp + timestamp,
            key, value, pairs,
        )))
        at = stop
    return records
