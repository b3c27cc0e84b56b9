"""Cardwatch: live card transactions in, one verification conversation out, the answer back into the score."""

__version__ = "0.1.0"
