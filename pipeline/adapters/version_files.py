"""Past models and policies as files beside the archive: ``models/DIGEST.model`` and ``policies/NAME@DIGEST.toml``.

Both are named by what they hold, so a file is never changed, only made, whole or not at all. Policies are small and stay
for good; a model has some hundred kilobytes.
"""

import hashlib
import os
import re
from pathlib import Path

from models.snapshot import MAX_BYTES, digest_of
from pipeline.adapters.parquet_files import make_folder, publish, unfinished

_DIGEST = re.compile(r"(?:^|-)([0-9a-f]{12})(?:-|$)")
_POLICY = re.compile(r"[a-z][a-z0-9_]{0,63}@([0-9a-f]{12})")


class VersionFiles:
    """The PastVersions port on the archive's directory ``root``."""

    def __init__(self, root: Path) -> None:
        self._models = root / "models"
        self._policies = root / "policies"

    def keep_model(self, sealed: bytes) -> bool:
        if len(sealed) > MAX_BYTES:
            return False
        path = self._models / f"{digest_of(sealed)}.model"
        if path.exists():
            os.utime(path)
            return False
        _write(path, sealed)
        return True

    def keep_policy(self, version: str, text: bytes) -> bool:
        found = _POLICY.fullmatch(version)
        if found is None or hashlib.sha256(text).hexdigest()[:12] != found[1]:
            return False
        path = self._policies / f"{version}.toml"
        if path.exists():
            return False
        _write(path, text)
        return True

    def forget_models(self, before: float) -> int:
        old = [path for path in self._models.glob("*.model") if path.stat().st_mtime < before]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)

    def model(self, version: str) -> bytes | None:
        found = _DIGEST.search(version)
        return None if found is None else _read(self._models / f"{found[1]}.model")

    def policy(self, version: str) -> str | None:
        if not _POLICY.fullmatch(version):
            return None
        text = _read(self._policies / f"{version}.toml")
        return None if text is None else text.decode("utf-8", "replace")


def _write(path: Path, content: bytes) -> None:
    make_folder(path.parent)
    unfinished(path).write_bytes(content)
    publish(path)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
