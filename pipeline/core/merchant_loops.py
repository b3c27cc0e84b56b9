"""The loops over merchants' habits: compiled, or without a compiler the Python ones, with equal results."""

try:
    from pipeline.core._merchants import observe_rows, settle, values_of, walk
except ImportError:
    from pipeline.core.merchant_habits import observe_rows, settle, values_of, walk

__all__ = ["observe_rows", "settle", "values_of", "walk"]
