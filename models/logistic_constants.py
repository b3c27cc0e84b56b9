"""How `models.logistic` learns: what its Python form and its compiled one must agree on."""

from typing import Final

RATE: Final = 0.07
EPSILON: Final = 0.01
"""Added to the sum of squared gradients: what holds the first steps back."""
CROSS_SCALE: Final = 0.3
INTERCEPT: Final = -5.0
"""Log-odds of fraud before anything is known: one in 150. What is learned beside it is the bias."""
