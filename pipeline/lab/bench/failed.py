"""How a benchmark says that it cannot go on."""


class BenchFailed(Exception):
    """A sentence for whoever started it: what is missing or went wrong, and what to do."""
