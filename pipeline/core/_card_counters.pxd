"""The bank's own counters in a card's row, in C: the compiled form of `counter_slots`, which describes the bytes and
says why. Cells of a counter are one integer of up to 112 bits, as they are there: a compiler without such integers makes
no compiled form, and Python's serves."""

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING
from libc.math cimport NAN, floor, isinf
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove

from pipeline.core._card_row cimport COUNTED, REVERSED, CardRow

cdef extern from *:
    """
    typedef unsigned __int128 cells_t;
    """
    ctypedef unsigned long long cells_t
    int __builtin_popcount(unsigned int bits) noexcept


cdef enum:  # functions
    COUNT, SUM, MAX, DISTINCT

cdef enum:
    SLOTS = 7, SLOT_BYTES = 8, MASKS = 56, MOST = 254, DISTINCT_BITS = 27, LARGEST = 0x3FFFFE

cdef packed struct Slot:
    uint16_t tag
    uint8_t place
    uint8_t function
    uint8_t zero[4]
    double width_s


cdef struct Plan:
    const Slot* slots
    int count
    const uint8_t* matched
    const uint8_t* marks[SLOTS]
    double* values
    const double* estimates
    const uint8_t* begun


cdef inline int plan_of(Plan* plan, Py_buffer* values, counting, Py_ssize_t at, Py_ssize_t events) except -1:
    """The counters as C reads them. What is pointed at belongs to ``counting``, and ``values`` is released by the
    caller, once ``plan.count`` is set."""
    cdef bytes packed = counting.counters.packed, begun = counting.counters.begun, matched = counting.matches.matched, mark
    cdef tuple marks = counting.matches.marks
    cdef int count = len(packed) // sizeof(Slot), number
    if not 0 < count <= SLOTS or len(begun) != 64 or len(matched) != events or len(marks) != count:
        raise ValueError("the matches are not of these events and counters")
    for number in range(count):
        mark = marks[number]
        if len(mark) not in (0, events):
            raise ValueError("the matches are not of these events and counters")
        plan.marks[number] = <const uint8_t*>PyBytes_AS_STRING(mark)
    PyObject_GetBuffer(counting.values, values, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
    plan.count = count
    if values.ndim != 2 or values.format != b"d" or values.shape[1] != count or values.shape[0] < at + events:
        raise ValueError(f"the values must be float64[n, {count}] with a row for each event")
    plan.slots = <const Slot*>PyBytes_AS_STRING(packed)
    plan.begun = <const uint8_t*>PyBytes_AS_STRING(begun)
    plan.matched = <const uint8_t*>PyBytes_AS_STRING(matched)
    plan.values = <double*>values.buf
    return 0


cdef inline int bits_of(int function) noexcept:
    return 8 if function == COUNT else 28 if function == DISTINCT else 22


cdef inline int cells_of(int function) noexcept:
    return 6 if function == COUNT else 4 if function == DISTINCT else 5


cdef inline uint16_t tag_at(const CardRow* card, int place) noexcept:
    cdef uint16_t tag
    memcpy(&tag, &card.spare[place * SLOT_BYTES], 2)
    return tag


cdef inline bint in_place(const CardRow* card, const Plan* plan) noexcept:
    cdef int number, end = 0
    for number in range(plan.count):
        if tag_at(card, plan.slots[number].place) != plan.slots[number].tag:
            return False
        end = plan.slots[number].place + (1 if plan.slots[number].function == COUNT else 2)
    return end == SLOTS or tag_at(card, end) == 0


cdef inline cells_t load(const CardRow* card, const Slot* slot) noexcept:
    cdef cells_t held = 0
    memcpy(&held, &card.spare[slot.place * SLOT_BYTES + 2], 6 if slot.function == COUNT else 14)
    return held


cdef inline void store(CardRow* card, const Slot* slot, cells_t held) noexcept:
    memcpy(&card.spare[slot.place * SLOT_BYTES + 2], &held, 6 if slot.function == COUNT else 14)


cdef inline uint32_t pack(double number) noexcept:
    cdef uint64_t bits
    if number < 0.00390625:
        return 0
    memcpy(&bits, &number, 8)
    return <uint32_t>min(((bits + (<uint64_t>1 << 35)) >> 36) - (<uint64_t>1014 << 16), <uint64_t>LARGEST)


cdef inline double unpack(uint32_t cell) noexcept:
    cdef uint64_t bits = (cell + (<uint64_t>1014 << 16)) << 36
    cdef double number
    memcpy(&number, &bits, 8)
    return number if cell else 0.0


cdef inline void attempted(
    const CardRow* before, CardRow* card, const Plan* plan, double at, double amount, Py_ssize_t index, double* values
) noexcept:
    """See `counter_slots.attempted`. ``before``: the row without the attempt, ``card``: with it, its counters not yet."""
    cdef int number, bits, cells, counted = 0
    cdef double bucket, passed, age
    cdef cells_t held, full
    cdef uint32_t cell, ones
    cdef const Slot* slot
    for number in range(plan.count):
        slot = &plan.slots[number]
        bits, cells = bits_of(slot.function), cells_of(slot.function)
        full, ones = (<cells_t>1 << (bits * cells)) - 1, (<uint32_t>1 << bits) - 1
        bucket = floor(card.newest / slot.width_s)
        held = load(card, slot)
        if not isinf(before.newest):
            passed = bucket - floor(before.newest / slot.width_s)
            held = 0 if passed >= cells else (held << (<int>passed * bits)) & full
        age = bucket - floor(at / slot.width_s)
        if plan.matched[index] >> number & 1 and age < cells:
            counted |= 1 << number
            cell = <uint32_t>(held >> (<int>age * bits)) & ones
            held ^= <cells_t>(cell ^ more(slot.function, cell, amount, plan.marks[number], index)) << (<int>age * bits)
        store(card, slot, held)
        values[number] = value_of(slot.function, held, plan.estimates)
    memmove(&card.spare[MASKS + 1], &card.spare[MASKS], 7)
    card.spare[MASKS] = <uint8_t>counted


cdef inline void passed_by(CardRow* card) noexcept:
    memmove(&card.spare[MASKS + 1], &card.spare[MASKS], 7)
    card.spare[MASKS] = 0


cdef inline void taken_back(const CardRow* before, CardRow* card, const Plan* plan, int original, double amount) noexcept:
    """See `counter_slots.taken_back`; ``original``: its place in the ring of ``before``."""
    cdef double remaining = before.ring[original].amount, taken = amount, age, left, at
    cdef int number, bits
    cdef cells_t held
    cdef uint32_t cell, less
    cdef const Slot* slot
    if not before.ring[original].flags & COUNTED or before.ring[original].flags & REVERSED:
        return
    cdef bint whole = amount == 0.0 or amount >= remaining * (1.0 - 1e-6)
    if whole:
        taken = remaining
    at = before.ring[original].second + before.ring[original].tick / 256.0
    for number in range(plan.count):
        slot = &plan.slots[number]
        bits = bits_of(slot.function)
        age = floor(before.newest / slot.width_s) - floor(at / slot.width_s)
        if not card.spare[MASKS + original] >> number & 1 or age < 0 or age >= cells_of(slot.function):
            continue
        held = load(card, slot)
        cell = less = <uint32_t>(held >> (<int>age * bits)) & ((<uint32_t>1 << bits) - 1)
        if slot.function == COUNT and whole and 0 < cell < MOST:
            less = cell - 1
        elif slot.function == SUM and cell <= LARGEST:
            left = unpack(cell) - taken
            less = pack(left) if left > taken * 0.00006103515625 else 0
        store(card, slot, held ^ <cells_t>(cell ^ less) << (<int>age * bits))


cdef inline uint32_t more(int function, uint32_t cell, double amount, const uint8_t* marks, Py_ssize_t index) noexcept:
    if function == COUNT:
        return cell if cell >= MOST else cell + 1
    if function == DISTINCT:
        return cell | <uint32_t>1 << marks[index]
    if cell > LARGEST:
        return cell
    return pack(unpack(cell) + amount) if function == SUM else max(cell, pack(amount))


cdef inline double value_of(int function, cells_t held, const double* estimates) noexcept:
    cdef int bits = bits_of(function), at
    cdef uint32_t ones = (<uint32_t>1 << bits) - 1, cell, whole = 0, largest = 0
    cdef double total = 0.0
    for at in range(cells_of(function)):
        cell = <uint32_t>(held >> (at * bits)) & ones
        if function == DISTINCT:
            whole |= cell
        elif cell == ones:
            return NAN
        elif function == COUNT:
            whole += cell
        elif function == MAX:
            largest = max(largest, cell)
        else:
            total += unpack(cell)
    if function == DISTINCT:
        return NAN if whole >> DISTINCT_BITS else estimates[__builtin_popcount(whole)]
    return whole if function == COUNT else unpack(largest) if function == MAX else total
