"""Places: the folders that a project writes to, and the room that is left there."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from gnomon.config import Config
from gnomon.errors import megabytes
from gnomon.flows.checks.check import Found
from gnomon.kernels import _jit

LOW, NONE_LEFT = 2 << 30, 100 << 20
"""Bytes."""


def local_folders(config: Config) -> dict[str, Path]:
    """What lies on this machine's disks: what for → the nearest folder that is there."""
    found = {"the project": config.root, "temporary files": Path(tempfile.gettempdir())}
    for name, url in (("offline store", config.offline), ("online store", config.online)):
        scheme, _, path = url.rpartition("://")
        if scheme in ("", "file", "delta", "lmdb"):
            found[f"the {name}"] = config.root / path.partition("?")[0]
    cache = _jit.cache_folder()
    if cache is not None:
        found["compiled kernels"] = cache
    return {name: _nearest(path) for name, path in found.items()}


def room(config: Config) -> Found:
    """Whether there is room on each disk, and the project's folder can be written."""
    if not os.access(config.root, os.W_OK):
        return Found(
            "error",
            f"{config.root} cannot be written",
            "the project's folder must belong to who runs gnomon",
        )
    disks: dict[int, tuple[str, Path]] = {}
    for name, path in local_folders(config).items():
        disks.setdefault(path.stat().st_dev, (name, path))
    free = {place: shutil.disk_usage(place[1]).free for place in disks.values()}
    told = "; ".join(f"{megabytes(left)} free at {path} ({name})" for (name, path), left in free.items())
    least = min(free.values())
    if least < NONE_LEFT:
        return Found("error", told, "make room: a full disk stops every write")
    if least < LOW:
        return Found("warn", told, "make room before it is full")
    return Found("ok", told)


def _nearest(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next(one for one in (path, *path.parents) if one.exists())
