# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The ordinary transaction, checked in C: `pipeline.core.transaction.decode` says what is checked and why, and does it
again in Python for everything that this does not pass at once."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef extern from *:
    """
    static const char *cw_find(const char *in, Py_ssize_t n, const char *what, Py_ssize_t m) {
        const char *last = in + n - m;
        for (const char *at = in; at <= last; at++) {
            at = memchr(at, what[0], last - at + 1);
            if (at == NULL || memcmp(at, what, m) == 0) return at;
        }
        return NULL;
    }
    """
    const char* cw_find(const char* within, Py_ssize_t n, const char* what, Py_ssize_t m) nogil

cdef enum:
    OTHER, DIGIT, BETWEEN, UNUSUAL
    LONG_RUN = 11
    SHORTEST_TOKEN = 12
    LONGEST_TOKEN = 84

cdef unsigned char kind_of[256]
cdef unsigned char in_token[256]


cdef void fill_tables() noexcept:
    cdef int byte
    for byte in range(256):
        kind_of[byte] = UNUSUAL if byte >= 128 else OTHER
        in_token[byte] = 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122 or byte == 95
    for byte in range(48, 58):
        kind_of[byte] = DIGIT
    kind_of[32] = kind_of[45] = kind_of[9] = BETWEEN  # blank, dash, tab: people write numbers in groups
    kind_of[92] = UNUSUAL  # a backslash may hide any character


fill_tables()


cdef bint plain(const char* at, const char* end) noexcept nogil:
    """ASCII without escapes, and no run of digits worth a closer look."""
    cdef int run = 0
    cdef unsigned char kind
    while at < end:
        kind = kind_of[<unsigned char>at[0]]
        if kind == DIGIT:
            run += 1
            if run == LONG_RUN:
                return False
        elif kind == UNUSUAL:
            return False
        elif kind == OTHER:
            run = 0
        at += 1
    return True


cdef bint is_token(const char* text, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t at
    if size < SHORTEST_TOKEN or size > LONGEST_TOKEN:
        return False
    if text[0] != b"t" or text[1] != b"o" or text[2] != b"k" or text[3] != b"_":
        return False
    for at in range(4, size):
        if not in_token[<unsigned char>text[at]]:
            return False
    return True


cdef int number(const char* text, int digits) noexcept nogil:
    """The number in so many digits; far below zero when one is none."""
    cdef int value = 0, at, digit
    for at in range(digits):
        digit = text[at] - 48
        if digit < 0 or digit > 9:
            return -1_000_000
        value = value * 10 + digit
    return value


cdef int64_t days_from_epoch(int year, int month, int day) noexcept nogil:
    """Days from 1970-01-01 in the Gregorian calendar (H. Hinnant, "chrono-compatible low-level date algorithms")."""
    cdef int64_t era, of_era, of_year, shifted = year - (month <= 2)
    era = shifted // 400 if shifted >= 0 else (shifted - 399) // 400
    of_era = shifted - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


cdef int days_in(int year, int month) noexcept nogil:
    if month == 2:
        return 29 if (year % 4 == 0 and year % 100 != 0) or year % 400 == 0 else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


cdef bint seconds_of(const char* text, Py_ssize_t size, double* seconds) noexcept nogil:
    """RFC 3339 as most write it: no fraction, milliseconds or microseconds; Z or an offset in whole minutes."""
    cdef int year, month, day, hour, minute, second, fraction = 0, ahead = 0, digits, hours, minutes
    cdef Py_ssize_t zone = 19
    cdef int64_t micros
    if size < 20 or text[4] != b"-" or text[7] != b"-" or text[10] != b"T" or text[13] != b":" or text[16] != b":":
        return False
    year, month, day = number(text, 4), number(text + 5, 2), number(text + 8, 2)
    hour, minute, second = number(text + 11, 2), number(text + 14, 2), number(text + 17, 2)
    if year < 1 or month < 1 or month > 12 or day < 1 or day > days_in(year, month):
        return False
    if hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
        return False
    if text[19] == b".":
        digits = 3 if size > 23 and not 48 <= text[23] <= 57 else 6
        zone = 20 + digits
        if size <= zone:
            return False
        fraction = number(text + 20, digits) * (1_000 if digits == 3 else 1)
        if fraction < 0:
            return False
    if text[zone] == b"Z":
        if size != zone + 1:
            return False
    elif text[zone] == b"+" or text[zone] == b"-":
        if size != zone + 6 or text[zone + 3] != b":":
            return False
        hours, minutes = number(text + zone + 1, 2), number(text + zone + 4, 2)
        if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
            return False
        ahead = (hours * 60 + minutes) * (60 if text[zone] == b"+" else -60)
    else:
        return False
    micros = days_from_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - ahead
    seconds[0] = <double>(micros * 1_000_000 + fraction) / 1e6
    return True


cdef class Quick:
    """Made once with what it needs of `transaction`: the decoder, the event's type, the known codes, the limits."""

    cdef object decode, event, currencies, countries, categories
    cdef Py_ssize_t most_bytes
    cdef double most_ahead, most_behind

    def __init__(self, decode, event, currencies, countries, categories, most_bytes, most_ahead, most_behind):
        self.decode = decode
        self.event = event
        self.currencies = currencies
        self.countries = countries
        self.categories = categories
        self.most_bytes = most_bytes
        self.most_ahead = most_ahead
        self.most_behind = most_behind

    def __call__(self, bytes value, long long timestamp_ms, str billing, dict rates):
        """The event in ``value``, or None: look closer."""
        cdef const char* data = PyBytes_AS_STRING(value)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(value), token_size, time_size
        cdef const char* token
        cdef const char* time
        cdef const char* at
        cdef double seconds, ahead
        if size > self.most_bytes:
            return None
        try:
            transaction = self.decode(value)
        except Exception:
            return None
        card = transaction.card
        token = PyUnicode_AsUTF8AndSize(card, &token_size)
        if not is_token(token, token_size) or transaction.previous_card is not None:
            return None
        at = cw_find(data, size, token, token_size)  # the token's own digits are no card number
        if at == NULL or not plain(data, at) or not plain(at + token_size, data + size):
            return None
        currency = transaction.currency
        if (
            currency not in self.currencies
            or transaction.country not in self.countries
            or transaction.home_country not in self.countries
            or transaction.mcc not in self.categories
        ):
            return None
        text = transaction.time
        time = PyUnicode_AsUTF8AndSize(text, &time_size)
        if not seconds_of(time, time_size, &seconds):
            return None
        ahead = seconds - timestamp_ms / 1000.0
        if ahead > self.most_ahead or ahead < -self.most_behind:
            return None
        if transaction.billing_currency == billing and transaction.billing_amount is not None:
            amount = float(transaction.billing_amount)
        else:
            rate = rates.get(currency)
            if rate is None:
                return None
            amount = transaction.amount * rate
        return self.event(transaction, seconds, amount)
