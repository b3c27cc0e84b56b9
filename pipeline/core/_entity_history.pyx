# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""`pipeline.core.entity_history.observe` and `withdraw` in C: equal to the Python forms, to the bit."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport NAN, exp, isfinite, rint
from libc.stdint cimport int64_t, uint8_t, uint32_t

cdef enum:  # as in `pipeline.core.entity_history`, against whose forms these are tested
    MOST = 16
    HEAD_BYTES = 24
    LABEL_BYTES = 5

cdef double FADE_S = 30 * 86_400.0
cdef double FORGOTTEN = 1e-3


cdef struct Label:
    uint32_t second
    uint8_t code


cdef struct Row:
    uint32_t newest, first
    double unexplained, explained, labelled, weight
    Py_ssize_t count
    Label labels[MOST + 1]


cdef inline uint32_t whole_at(const uint8_t* at) noexcept nogil:
    return at[0] | <uint32_t>at[1] << 8 | <uint32_t>at[2] << 16 | <uint32_t>at[3] << 24


cdef inline double real_at(const uint8_t* at) noexcept nogil:
    cdef uint32_t bits = whole_at(at)
    return (<float*>&bits)[0]


cdef inline void put_whole(uint8_t* at, uint32_t value) noexcept nogil:
    at[0], at[1], at[2], at[3] = value & 255, value >> 8 & 255, value >> 16 & 255, value >> 24


cdef inline void put_real(uint8_t* at, double value) noexcept nogil:
    cdef float rounded = <float>value
    put_whole(at, (<uint32_t*>&rounded)[0])


cdef Row unpacked(bytes row):
    cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(row)
    cdef Py_ssize_t rest = PyBytes_GET_SIZE(row) - HEAD_BYTES, number
    cdef Row found
    if rest < 0 or rest % LABEL_BYTES or rest > MOST * LABEL_BYTES:
        raise ValueError(f"{HEAD_BYTES + rest} bytes are no history of an entity")
    found.newest, found.first = whole_at(at), whole_at(at + 16)
    found.unexplained, found.explained = real_at(at + 4), real_at(at + 8)
    found.labelled, found.weight = real_at(at + 12), real_at(at + 20)
    found.count = rest // LABEL_BYTES
    at += HEAD_BYTES
    for number in range(found.count):
        found.labels[number].second, found.labels[number].code = whole_at(at), at[4]
        at += LABEL_BYTES
    return found


cdef bytes packed(Row* row):
    cdef bytes made = PyBytes_FromStringAndSize(NULL, HEAD_BYTES + row.count * LABEL_BYTES)
    cdef uint8_t* at = <uint8_t*>PyBytes_AS_STRING(made)
    cdef Py_ssize_t number
    put_whole(at, row.newest)
    put_real(at + 4, row.unexplained)
    put_real(at + 8, row.explained)
    put_real(at + 12, row.labelled)
    put_whole(at + 16, row.first)
    put_real(at + 20, row.weight)
    at += HEAD_BYTES
    for number in range(row.count):
        put_whole(at, row.labels[number].second)
        at[4] = row.labels[number].code
        at += LABEL_BYTES
    return made


cdef inline bint before(Label one, Label other) noexcept nogil:
    return one.second < other.second or (one.second == other.second and one.code < other.code)


cdef inline double not_explained(uint8_t code) noexcept nogil:
    return 1.0 - (code - 1) / 254.0


cdef Label label_of(double at, bint fraud, double explained):
    cdef Label made
    made.second = 0 if at < 0.0 else 0xFFFFFFFF if at > 4294967295.0 else <uint32_t>at
    made.code = 1 + <uint8_t>rint(min(max(explained, 0.0), 1.0) * 254.0) if fraud else 0
    return made


def observe(bytes row not None, double at, bint fraud, double explained):
    cdef Row held = unpacked(row)
    cdef Label label = label_of(at, fraud, explained), oldest
    cdef double fading = 1.0, worth = 1.0, u = not_explained(label.code)
    cdef Py_ssize_t place, other
    if label.second >= held.newest:
        fading = exp((<double>held.newest - <double>label.second) / FADE_S)
        held.newest = label.second
    else:
        worth = exp((<double>label.second - <double>held.newest) / FADE_S)
    held.unexplained = held.unexplained * fading + (worth * u if label.code else 0.0)
    held.explained = held.explained * fading + (worth * (1.0 - u) if label.code else 0.0)
    held.labelled = held.labelled * fading + worth
    if held.count and before(label, held.labels[0]) and (held.first > 0 or held.weight > 0.0 or held.count == MOST):
        if not label.code and label.second >= held.first:
            held.first, held.weight = 0, 0.0
        return packed(&held)
    held.labels[held.count] = label
    held.count += 1
    for place in range(1, held.count):  # in order but for the last: one pass, as a rule one comparison each
        label, other = held.labels[place], place
        while other > 0 and before(label, held.labels[other - 1]):
            held.labels[other] = held.labels[other - 1]
            other -= 1
        held.labels[other] = label
    if held.count > MOST:
        oldest = held.labels[0]
        for place in range(1, held.count):
            held.labels[place - 1] = held.labels[place]
        held.count -= 1
        if not oldest.code:
            held.first, held.weight = 0, 0.0
        else:
            u = not_explained(oldest.code)
            if not held.first and u > 0.5:
                held.first = oldest.second
            held.weight = held.weight + u
    return packed(&held)


def withdraw(bytes row not None, double at, bint fraud, double explained):
    cdef Row held = unpacked(row)
    cdef Label label = label_of(at, fraud, explained)
    cdef double late = min(<double>label.second - <double>held.newest, 0.0)
    cdef double worth = exp(late / FADE_S), u = not_explained(label.code)
    cdef Py_ssize_t place, found = -1
    held.labelled = max(held.labelled - worth, 0.0)
    if label.code:
        held.unexplained = max(held.unexplained - worth * u, 0.0)
        held.explained = max(held.explained - worth * (1.0 - u), 0.0)
    for place in range(held.count):
        if found < 0 and held.labels[place].second == label.second and held.labels[place].code == label.code:
            found = place
        elif found >= 0:
            held.labels[place - 1] = held.labels[place]
    if found >= 0:
        held.count -= 1
    elif label.code and held.weight > 0.0:
        held.weight = max(held.weight - u, 0.0)
        if label.second == held.first or held.weight == 0.0:
            held.first = 0
    return packed(&held)


def standing(bytes row not None):
    """`pipeline.core.entity_standing.standing`."""
    cdef Row held = unpacked(row)
    cdef double run = 0.0, u
    cdef uint32_t began = 0
    cdef Py_ssize_t at = held.count - 1, since
    if not (isfinite(held.unexplained) and isfinite(held.explained) and isfinite(held.labelled) and isfinite(held.weight)):
        raise ValueError("no history of an entity: a sum is not a number")
    if not held.count and held.labelled < FORGOTTEN:
        return NAN, NAN, held.labelled, held.newest, NAN, NAN, NAN
    while at >= 0 and not held.labels[at].code:
        at -= 1
    since = held.count - 1 - at
    any_fraud = at >= 0 or held.unexplained + held.explained > FORGOTTEN
    if since == 0:
        while at >= 0 and held.labels[at].code:
            u = not_explained(held.labels[at].code)
            run += u
            if u > 0.5:
                began = held.labels[at].second
            at -= 1
        if at < 0:
            run += held.weight
            began = held.first or began
    return (
        held.unexplained, held.explained, held.labelled, held.newest, run, began if began else NAN,
        <double>since if any_fraud else NAN,
    )
