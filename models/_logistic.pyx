# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The loops of `models.logistic` and `models.binning`, compiled: same numbers, in the same order, to the bit."""

from libc.math cimport INFINITY, exp, sqrt
from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memset

from itertools import combinations

import numpy as np

from models.logistic_constants import CROSS_SCALE as _CROSS_SCALE, EPSILON as _EPSILON, INTERCEPT as _INTERCEPT, RATE as _RATE

cdef enum:
    MOST_CROSSED = 256  # columns a classifier may have

cdef double CROSS_SCALE = _CROSS_SCALE
cdef double EPSILON = _EPSILON
cdef double INTERCEPT = _INTERCEPT
cdef double RATE = _RATE


cdef class _Reading:
    """The arrays of one `Logistic`, as the loops read them."""
    cdef const int32_t[::1] mains, main_at, left, right, cross_at, stride
    cdef const int32_t[::1] crossed  # the encodings that are crossed; the pairs are theirs, in the order of combinations
    cdef const uint8_t[::1] silent
    cdef double[::1] w, squares
    cdef const float[::1] average
    cdef bint averaged
    cdef int32_t[::1] at  # the terms of the row that is learned: weight and value of each
    cdef double[::1] x
    cdef Py_ssize_t main_count, pair_count, crossed_count

    def __init__(self, model):
        terms = model.terms
        crossed = np.unique(np.concatenate([terms.left, terms.right])).astype(np.int32)
        pairs = [(left, right) for left, right in combinations(crossed.tolist(), 2)]
        if pairs != list(zip(terms.left.tolist(), terms.right.tolist())) or len(crossed) > MOST_CROSSED:
            raise ValueError(f"crosses that are not all pairs of at most {MOST_CROSSED} encodings")
        self.crossed, self.crossed_count = crossed, len(crossed)
        self.mains, self.main_at = terms.mains, terms.main_at
        self.left, self.right, self.cross_at, self.stride = terms.left, terms.right, terms.cross_at, terms.stride
        self.silent = terms.silent
        self.w, self.squares = model.weights, model.squares
        self.averaged = model.average is not None
        if self.averaged:
            self.average = model.average
        self.main_count, self.pair_count = len(terms.mains), len(terms.left)
        most = 1 + 2 * self.main_count + 4 * self.pair_count
        self.at, self.x = np.zeros(most, dtype=np.int32), np.zeros(most)

    cdef inline Py_ssize_t present(self, const uint8_t* slot, int32_t* found) noexcept nogil:
        """Which of the crossed encodings a row has a value of: most have none of what labels say."""
        cdef Py_ssize_t place, known = 0
        for place in range(self.crossed_count):
            found[known] = <int32_t>place
            known += slot[self.crossed[place]] != 0
        return known

    cdef inline Py_ssize_t pairs_from(self, Py_ssize_t place) noexcept nogil:
        """What the place of the other encoding is to be added to for the number of a pair."""
        return place * (2 * self.crossed_count - place - 1) // 2 - place - 1

    cdef double dot(self, const uint8_t* slot, const double* share) noexcept nogil:
        cdef double z = INTERCEPT + self.w[0], u, v
        cdef Py_ssize_t term, here
        cdef int32_t left, right, stride
        for term in range(self.main_count):
            left = self.mains[term]
            if self.silent[term] and not slot[left]:
                continue
            here = self.main_at[term] + slot[left]
            u = share[left]
            z += self.w[here] * (1.0 - u)
            if u > 0.0:
                z += self.w[here + 1] * u
        cdef int32_t here_is[MOST_CROSSED]
        cdef Py_ssize_t known = self.present(slot, here_is), one, other, first
        for one in range(known):
            left = self.crossed[here_is[one]]
            first = self.pairs_from(here_is[one])
            u = share[left]
            for other in range(one + 1, known):
                term, right = first + here_is[other], self.crossed[here_is[other]]
                stride, v = self.stride[term], share[right]
                here = self.cross_at[term] + (slot[left] - 1) * stride + slot[right] - 1
                z += self.w[here] * ((1.0 - u) * (1.0 - v) * CROSS_SCALE)
                if v > 0.0:
                    z += self.w[here + 1] * ((1.0 - u) * v * CROSS_SCALE)
                if u > 0.0:
                    z += self.w[here + stride] * (u * (1.0 - v) * CROSS_SCALE)
                    if v > 0.0:
                        z += self.w[here + stride + 1] * (u * v * CROSS_SCALE)
        return z

    cdef void tell_apart(self, const uint8_t* slot, const double* share, double* out) noexcept nogil:
        cdef double u, v, value
        cdef Py_ssize_t term, here
        cdef int32_t left, right, stride
        for term in range(self.main_count):
            left = self.mains[term]
            if self.silent[term] and not slot[left]:
                continue
            here = self.main_at[term] + slot[left]
            u = share[left]
            value = self.w[here] * (1.0 - u) / 2.0
            out[left] += value
            out[left] += value
            if u > 0.0:
                value = self.w[here + 1] * u / 2.0
                out[left] += value
                out[left] += value
        for term in range(self.pair_count):
            left, right, stride = self.left[term], self.right[term], self.stride[term]
            if not slot[left] or not slot[right]:
                continue
            u, v = share[left], share[right]
            here = self.cross_at[term] + (slot[left] - 1) * stride + slot[right] - 1
            value = self.w[here] * ((1.0 - u) * (1.0 - v) * CROSS_SCALE) / 2.0
            out[left] += value
            out[right] += value
            if v > 0.0:
                value = self.w[here + 1] * ((1.0 - u) * v * CROSS_SCALE) / 2.0
                out[left] += value
                out[right] += value
            if u > 0.0:
                value = self.w[here + stride] * (u * (1.0 - v) * CROSS_SCALE) / 2.0
                out[left] += value
                out[right] += value
                if v > 0.0:
                    value = self.w[here + stride + 1] * (u * v * CROSS_SCALE) / 2.0
                    out[left] += value
                    out[right] += value

    cdef inline Py_ssize_t note(self, Py_ssize_t count, Py_ssize_t weight, double x) noexcept nogil:
        self.at[count] = <int32_t>weight
        self.x[count] = x
        return count + 1

    cdef Py_ssize_t take(self, const uint8_t* slot, const double* share) noexcept nogil:
        """Note the terms of a row, in the order in which `dot` adds them. Returns how many."""
        cdef double u, v
        cdef Py_ssize_t term, here, count = self.note(0, 0, 1.0)
        cdef int32_t left, right, stride
        for term in range(self.main_count):
            left = self.mains[term]
            if self.silent[term] and not slot[left]:
                continue
            here = self.main_at[term] + slot[left]
            u = share[left]
            count = self.note(count, here, 1.0 - u)
            if u > 0.0:
                count = self.note(count, here + 1, u)
        cdef int32_t here_is[MOST_CROSSED]
        cdef Py_ssize_t known = self.present(slot, here_is), one, other, first
        for one in range(known):
            left = self.crossed[here_is[one]]
            first = self.pairs_from(here_is[one])
            u = share[left]
            for other in range(one + 1, known):
                term, right = first + here_is[other], self.crossed[here_is[other]]
                stride, v = self.stride[term], share[right]
                here = self.cross_at[term] + (slot[left] - 1) * stride + slot[right] - 1
                count = self.note(count, here, (1.0 - u) * (1.0 - v) * CROSS_SCALE)
                if v > 0.0:
                    count = self.note(count, here + 1, (1.0 - u) * v * CROSS_SCALE)
                if u > 0.0:
                    count = self.note(count, here + stride, u * (1.0 - v) * CROSS_SCALE)
                    if v > 0.0:
                        count = self.note(count, here + stride + 1, u * v * CROSS_SCALE)
        return count

    cdef double say(self, Py_ssize_t count, double* said) noexcept nogil:
        """Log-odds of the row taken by the weights; ``said``: by the mean of them and their average, if there is one."""
        cdef double z = INTERCEPT, mean = INTERCEPT
        cdef Py_ssize_t term
        cdef double w
        if not self.averaged:
            for term in range(count):
                z += self.w[self.at[term]] * self.x[term]
            said[0] = z
            return z
        for term in range(count):
            w = self.w[self.at[term]]
            z += w * self.x[term]
            mean += (w + <double>self.average[self.at[term]]) * 0.5 * self.x[term]
        said[0] = mean
        return z

    cdef void learn_one(self, Py_ssize_t count, double slope) noexcept nogil:
        """A step on each weight of the row taken."""
        cdef double gradient
        cdef Py_ssize_t term, weight
        for term in range(count):
            weight = self.at[term]
            gradient = self.x[term] * slope
            self.squares[weight] += gradient * gradient
            self.w[weight] -= RATE / sqrt(self.squares[weight] + EPSILON) * gradient


cdef _Reading reading_of(model):
    """Made once for each model: eight arrays cost more to open than one row to learn."""
    if model.reading is None:
        model.reading = _Reading(model)
    return model.reading


def log_odds(model, const uint8_t[:, ::1] slots, const double[:, ::1] shares):
    cdef _Reading reading = reading_of(model)
    cdef Py_ssize_t row, n = slots.shape[0]
    out = np.empty(n)
    cdef double[::1] z = out
    with nogil:
        for row in range(n):
            z[row] = reading.dot(&slots[row, 0], &shares[row, 0])
    return out


def shares_of_log_odds(model, const uint8_t[:, ::1] slots, const double[:, ::1] shares):
    cdef _Reading reading = reading_of(model)
    cdef Py_ssize_t row, n = slots.shape[0]
    told = np.zeros((n, slots.shape[1]))
    cdef double[:, ::1] out = told
    with nogil:
        for row in range(n):
            reading.tell_apart(&slots[row, 0], &shares[row, 0], &out[row, 0])
    return told


def learn(model, const uint8_t[:, ::1] slots, const double[:, ::1] shares, const double[::1] labels, const double[::1] weights, double until=INFINITY):
    cdef _Reading reading = reading_of(model)
    cdef Py_ssize_t row, count, n = slots.shape[0]
    cdef double side, margin, slope, z
    out = np.empty(n)
    cdef double[::1] before = out
    with nogil:
        for row in range(n):
            count = reading.take(&slots[row, 0], &shares[row, 0])
            z = reading.say(count, &before[row])
            side = 1.0 if labels[row] != 0.0 else -1.0
            margin = z * side
            if margin > 18.0:
                slope = exp(-margin) * -side
            elif margin < -18.0:
                slope = -side
            else:
                slope = -side / (exp(margin) + 1.0)
            reading.learn_one(count, slope * weights[row])
            if before[row] > until:
                n = row + 1
                break
    return out[:n]


cdef inline void encode_row(const int32_t* source, const int32_t* starts, const double* knots, const uint8_t* category,
                            Py_ssize_t count, const double* row, uint8_t* slots, double* shares) noexcept nogil:
    """Slots and shares, which must be zero, of one row."""
    cdef Py_ssize_t encoding
    cdef int32_t low, high, middle, first, last
    cdef double x
    for encoding in range(count):
        x = row[source[encoding]]
        if x != x:
            continue
        first, last = starts[encoding], starts[encoding + 1] - 1
        low, high = first, last + 1  # the last knot that is not above x lies in low … high − 1
        while high - low > 1:
            middle = (low + high) // 2
            if knots[middle] <= x:
                low = middle
            else:
                high = middle
        slots[encoding] = <uint8_t>(low - first + 1)
        if category[encoding]:
            if knots[low] != x:
                slots[encoding] = <uint8_t>(last - first + 2)
        elif low < last and x > knots[low]:
            shares[encoding] = (x - knots[low]) / (knots[low + 1] - knots[low])


def encode(const int32_t[::1] source, const int32_t[::1] starts, const double[::1] knots, const uint8_t[::1] category, const double[:, ::1] matrix):
    cdef Py_ssize_t row, n = matrix.shape[0], count = source.shape[0]
    slots_array, shares_array = np.zeros((n, count), dtype=np.uint8), np.zeros((n, count))
    cdef uint8_t[:, ::1] slots = slots_array
    cdef double[:, ::1] shares = shares_array
    with nogil:
        for row in range(n):
            encode_row(&source[0], &starts[0], &knots[0], &category[0], count, &matrix[row, 0], &slots[row, 0], &shares[row, 0])
    return slots_array, shares_array


def log_odds_of(model, const int32_t[::1] source, const int32_t[::1] starts, const double[::1] knots, const uint8_t[::1] category, const double[:, ::1] matrix):
    """`log_odds` of what `encode` makes of ``matrix``, which is never there as a whole."""
    cdef _Reading reading = reading_of(model)
    cdef Py_ssize_t row, n = matrix.shape[0], count = source.shape[0]
    cdef uint8_t slots[2 * MOST_CROSSED]
    cdef double shares[2 * MOST_CROSSED]
    if count > 2 * MOST_CROSSED:
        raise ValueError(f"at most {2 * MOST_CROSSED} encodings")
    out = np.empty(n)
    cdef double[::1] z = out
    with nogil:
        for row in range(n):
            memset(slots, 0, count)
            memset(shares, 0, count * sizeof(double))
            encode_row(&source[0], &starts[0], &knots[0], &category[0], count, &matrix[row, 0], slots, shares)
            z[row] = reading.dot(slots, shares)
    return out


def probability(const double[::1] z, double intercept, double slope, const double[::1] grid, double reach, Py_ssize_t steps):
    """`models.calibration_online.probability` of intercept + slope · z."""
    cdef Py_ssize_t row, below, n = z.shape[0]
    cdef double at, share
    out = np.empty(n)
    cdef double[::1] found = out
    with nogil:
        for row in range(n):
            at = (min(max(intercept + slope * z[row], -reach), reach) + reach) * (steps / (2.0 * reach))
            below = max(min(<Py_ssize_t>at, steps - 1), 0)
            share = at - below
            found[row] = grid[below] * (1.0 - share) + grid[below + 1] * share
    return out
