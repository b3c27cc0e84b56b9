"""Past models and policies as files beside the archive: ``models/DIGEST.model`` and ``policies/NAME@DIGEST.toml``.

Both are named by what they hold, so a file is never changed, only made, whole or not at all. Policies are small and stay
for good; a model has some hundred kilobytes, and moves to ``models/decided/`` when it is known to have decided something.
A file's time is that of its last meeting, there that of the last look at which it had decided something new.
"""

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from models.snapshot import MAX_BYTES, digest_of
from pipeline.adapters.parquet_files import make_folder, publish, unfinished

_DIGEST = re.compile(r"(?:^|-)([0-9a-f]{12})(?:-|$)")
_POLICY = re.compile(r"[a-z][a-z0-9_]{0,63}@([0-9a-f]{12})")


class VersionFiles:
    """The PastVersions port on the archive's directory ``root``."""

    def __init__(self, root: Path) -> None:
        self._models = root / "models"
        self._decided = self._models / "decided"
        self._policies = root / "policies"

    def keep_model(self, sealed: bytes) -> bool:
        if len(sealed) > MAX_BYTES:
            return False
        name = f"{digest_of(sealed)}.model"
        if (self._decided / name).exists():
            return False
        path = self._models / name
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

    def mark_decided(self, versions: Iterable[str]) -> int:
        new = 0
        for name in sorted({f"{found[1]}.model" for version in versions if (found := _DIGEST.search(version))}):
            there = self._decided / name
            if there.exists():
                os.utime(there)
            elif (self._models / name).exists():
                make_folder(self._decided)
                (self._models / name).replace(there)  # after a power cut it is in one of both, and looked for in both
                os.utime(there)
                new += 1
        return new

    def any_decided(self) -> bool:
        return self._decided.is_dir()

    def forget_models(self, met_before: float, decided_before: float | None) -> int:
        old = [path for path in self._models.glob("*.model") if path.stat().st_mtime < met_before]
        if decided_before is not None:
            old += [path for path in self._decided.glob("*.model") if path.stat().st_mtime < decided_before]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)

    def model(self, version: str) -> bytes | None:
        found = _DIGEST.search(version)
        if found is None:
            return None
        name = f"{found[1]}.model"
        kept = (_read(self._decided / name), _read(self._models / name), _read(self._decided / name))
        return next((one for one in kept if one is not None), None)  # it may move while it is looked for

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
