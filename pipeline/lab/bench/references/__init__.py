"""The programs Cardwatch is compared with, each a whole program of its own, told by its environment where to work:
``BENCH_KAFKA``, ``BENCH_SOURCE``, ``BENCH_TARGET``, ``BENCH_SCORED``, ``BENCH_GROUP``, ``BENCH_STATE``."""
