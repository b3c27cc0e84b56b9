"""Reading a transaction from C: its fields without a look-up by name, its texts and its time as a card's row holds them.

A msgspec struct keeps each field at a fixed offset and tells it by an ordinary member descriptor, as a class with
``__slots__`` does. Reading there saves a quarter of the whole step. It is safe for objects of exactly the class whose
descriptors were asked: callers check that with `of_class`.
"""

from cpython.object cimport PyObject, PyTypeObject
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.math cimport floor
from libc.stdint cimport int64_t, uint8_t, uint32_t

cdef extern from "structmember.h":
    ctypedef struct PyMemberDef:
        int type
        Py_ssize_t offset
    ctypedef struct PyMemberDescrObject:
        PyMemberDef* d_member
    PyTypeObject PyMemberDescr_Type
    int T_OBJECT_EX

cdef extern from "_digests.h":
    void blake2b_64(const char* text, size_t size, uint8_t* digest) noexcept
    uint32_t zlib_crc32(const char* text, size_t size) noexcept


cdef struct Offsets:
    Py_ssize_t transaction, at, amount  # of an Event
    Py_ssize_t id, type, original_id, kind, entry_mode, merchant, mcc, country, home_country, latitude, longitude
    Py_ssize_t response_code


cdef inline Py_ssize_t offset_of(object owner, str name) except -1:
    """Where objects of class ``owner`` hold the field. Raises ImportError where that can't be told."""
    cdef object descriptor = owner.__dict__[name]
    cdef PyMemberDef* member
    if type(descriptor) is not <object>&PyMemberDescr_Type:
        raise ImportError(f"{owner.__name__}.{name} is no plain field")
    member = (<PyMemberDescrObject*>descriptor).d_member
    if member.type != T_OBJECT_EX:
        raise ImportError(f"{owner.__name__}.{name} holds no object")
    return member.offset


cdef inline Offsets offsets(object Event, object Transaction) except *:
    cdef Offsets found
    found.transaction = offset_of(Event, "transaction")
    found.at = offset_of(Event, "at")
    found.amount = offset_of(Event, "amount")
    found.id = offset_of(Transaction, "id")
    found.type = offset_of(Transaction, "type")
    found.original_id = offset_of(Transaction, "original_id")
    found.kind = offset_of(Transaction, "kind")
    found.entry_mode = offset_of(Transaction, "entry_mode")
    found.merchant = offset_of(Transaction, "merchant")
    found.mcc = offset_of(Transaction, "mcc")
    found.country = offset_of(Transaction, "country")
    found.home_country = offset_of(Transaction, "home_country")
    found.latitude = offset_of(Transaction, "latitude")
    found.longitude = offset_of(Transaction, "longitude")
    found.response_code = offset_of(Transaction, "response_code")
    return found


cdef inline int of_class(object value, object owner) except -1:
    if type(value) is not owner:
        raise TypeError(f"expected {owner.__name__}, got {type(value).__name__}")
    return 0


cdef inline object field(object owner, Py_ssize_t offset):
    cdef PyObject* value = (<PyObject**>(<char*><PyObject*>owner + offset))[0]
    if value is NULL:
        raise AttributeError("a field was never set")
    return <object>value


cdef inline int digest_of(str text, uint8_t* digest) except -1:
    """BLAKE2b of an id, eight bytes."""
    cdef Py_ssize_t size
    cdef const char* data = PyUnicode_AsUTF8AndSize(text, &size)
    blake2b_64(data, size, digest)
    return 0


cdef inline uint32_t checksum_of(str text) except 0:
    """CRC-32 of a merchant; never 0, which marks an empty slot."""
    cdef Py_ssize_t size
    cdef const char* data = PyUnicode_AsUTF8AndSize(text, &size)
    return zlib_crc32(data, size) or 1


cdef inline int category_of(str mcc) except -1:
    """MCC + 1; 0 for none. `decode` lets nothing through but four digits."""
    cdef int number = 0
    cdef Py_UCS4 digit
    if mcc is None:
        return 0
    if len(mcc) != 4:
        raise ValueError("mcc must be four digits")
    for digit in mcc:
        if not 48 <= digit <= 57:
            raise ValueError("mcc must be four digits")
        number = 10 * number + <int>digit - 48
    return number + 1


cdef inline uint32_t second_of(double at) noexcept:
    """The unix second; times before 1970 and after 2106 are held to those years."""
    return 0 if at <= 0.0 else 0xFFFF_FFFF if at >= 4_294_967_295.0 else <uint32_t>at


cdef inline int hour_of(double at) noexcept:
    """The hour of the day, UTC, before 1970 too. Whole seconds, as 64-bit floor division would round near the hour."""
    return <int>((<int64_t>floor(at) % 86_400) // 3_600)
