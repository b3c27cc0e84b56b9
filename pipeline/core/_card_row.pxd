"""A card's row as a C struct laid over its bytes, and what changes its slots: the compiled form of `profile_row`, which
describes the layout. The structs are packed, as the row has no padding."""

from libc.math cimport exp, isinf
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove

cdef extern from *:
    """
    #if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || FLT_EVAL_METHOD != 0
    #error "rows are little endian and every step is rounded to 64 bits: this machine takes the Python form"
    #endif
    """


cdef packed struct Entry:
    uint8_t digest[8]
    uint32_t second
    uint8_t tick
    float amount
    uint8_t flags


cdef packed struct CardRow:
    uint8_t version
    uint8_t zero
    uint32_t seen
    uint32_t spends
    uint32_t first
    double newest
    float counts[5]
    float sums[5]
    float declines[2]
    float checks
    float cash[2]
    float mean
    float deviation
    float usual_count
    float usual_sum
    float latitude
    float longitude
    uint32_t place_at
    uint8_t hours[24]
    uint8_t modes[8]
    uint8_t country_counts[6]
    uint8_t countries[12]
    uint16_t mccs[10]
    uint32_t merchants[16]
    uint8_t spare[64]
    Entry ring[8]


cdef enum:  # flags of an entry of the ring
    COUNTED = 1, SPENT = 2, CASHED = 4, CHECKED = 8, DECLINED = 16, REVERSED = 32

cdef enum:
    RING_SLOTS = 8, COUNTRY_SLOTS = 6, MCC_SLOTS = 10, MERCHANT_SLOTS = 16


cdef inline int find(const void* slots, int count, int slot_size, const void* item, int size) noexcept:
    """The slot that begins with ``item``, −1 when none does."""
    cdef int slot
    for slot in range(count):
        if memcmp(<const uint8_t*>slots + slot * slot_size, item, size) == 0:
            return slot
    return -1


cdef inline int find_entry(const CardRow* card, const uint8_t* digest) noexcept:
    return find(card.ring, RING_SLOTS, sizeof(Entry), digest, 8)


cdef inline void to_front(void* slots, int count, int size, const void* item, int at) noexcept:
    """``item``, found in slot ``at`` (−1: not found), comes first; the last one falls out for a new one."""
    if at < 0:
        at = count - 1
    memmove(<uint8_t*>slots + size, slots, at * size)
    memcpy(slots, item, size)


cdef inline void bump(uint8_t* counts, int size, int index) noexcept:
    """One more at ``index``; all are halved first when that one is full."""
    cdef int other
    if counts[index] == 255:
        for other in range(size):
            counts[other] = (counts[other] + 1) >> 1
    counts[index] += 1


cdef inline int total(const uint8_t* counts, int size) noexcept:
    cdef int found = 0, index
    for index in range(size):
        found += counts[index]
    return found


cdef inline float narrow(double x) except? -1.0:
    """``x`` in 32 bits, with struct.pack's error where it is too large for them."""
    cdef float y = <float>x
    if isinf(y) and not isinf(x):
        raise OverflowError("float too large to pack with f format")
    return y


cdef inline int remember(CardRow* card, const uint8_t* digest, double at, double amount, int flags) except -1:
    """One more transaction in the ring; the oldest is forgotten. Times before 1970 and after 2106 are held to those
    years."""
    cdef uint64_t ticks = <uint64_t>min(max(at * 256.0, 0.0), <double>0xFF_FFFF_FFFF)
    memmove(&card.ring[1], &card.ring[0], (RING_SLOTS - 1) * sizeof(Entry))
    memcpy(card.ring[0].digest, digest, 8)
    card.ring[0].second = <uint32_t>(ticks >> 8)
    card.ring[0].tick = <uint8_t>(ticks & 255)
    card.ring[0].amount = narrow(amount)
    card.ring[0].flags = <uint8_t>flags
    return 0


cdef inline double days_known(const CardRow* card) noexcept:
    return (card.newest - card.first) / 86_400.0 if card.seen and card.newest > card.first else 0.0


cdef inline float less(double counter, double weight) noexcept:
    return <float>max(counter - weight, 0.0)


cdef inline void reverse(CardRow* card, Entry* original, double amount, const double* scales_s) noexcept:
    """Takes back what the reversed transaction still weighs."""
    cdef double remaining = original.amount, taken = amount, age
    cdef double[5] weights
    cdef int scale
    if not original.flags & COUNTED or original.flags & REVERSED:
        return
    cdef bint whole = amount == 0.0 or amount >= remaining * (1.0 - 1e-6)
    if whole:
        taken = remaining
    age = max(card.newest - (original.second + original.tick / 256.0), 0.0)
    for scale in range(5):
        weights[scale] = exp(-age / scales_s[scale])
        card.sums[scale] = less(card.sums[scale], weights[scale] * taken)
        if whole:
            card.counts[scale] = less(card.counts[scale], weights[scale])
    for scale in range(2):
        if whole and original.flags & DECLINED:
            card.declines[scale] = less(card.declines[scale], weights[2 + scale])
        if whole and original.flags & CASHED:
            card.cash[scale] = less(card.cash[scale], weights[3 + scale])
    if whole and original.flags & CHECKED:
        card.checks = less(card.checks, weights[2])
    card.zero = 0
    original.amount = <float>(remaining - taken)
    if whole:
        original.flags |= REVERSED
