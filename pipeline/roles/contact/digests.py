"""What stands for a number, an e-mail address or an app's id wherever it need not be readable.

Without a key that would hide little: there are so few telephone numbers that whoever has read the store finds each of
them by trying all. So digests are made with a key that is not in the store. It is kept as long as the installation:
under another one no number is recognised, neither what reached it nor that it is not the customer's.

Earlier versions had no key. What they wrote is recognised, and written anew when its customer is next dealt with.
"""

from hashlib import blake2b

SIZE = 9
KEYED = "k"
"""Begins every digest; one of an earlier version is hexadecimal throughout."""


class Digests:
    """Made with ``key``, the installation's."""

    def __init__(self, key: bytes) -> None:
        self._key = blake2b(key, digest_size=32, person=b"contact address").digest()

    def of(self, address: str) -> str:
        return KEYED + blake2b(address.encode(), key=self._key, digest_size=SIZE).hexdigest()

    def is_of(self, address: str, digest: str) -> bool:
        """Whether ``digest``, perhaps an earlier version's, stands for ``address``."""
        return digest == (unkeyed(address) if is_unkeyed(digest) else self.of(address))


def unkeyed(address: str) -> str:
    """What an earlier version put for ``address``."""
    return blake2b(address.encode(), digest_size=SIZE).hexdigest()


def is_unkeyed(digest: str) -> bool:
    return not digest.startswith(KEYED)
