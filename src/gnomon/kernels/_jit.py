"""How kernels are compiled, and where their machine code is kept.

Numba's own disk cache looks only at the file of the function that it loads: after a change in a helper of
another module it would go on computing the old value. Ours is keyed by everything that can change a bit
(`kernel_key`). Each compiled signature is one file, named by a digest of that signature and written
atomically; Numba's shared index file would let two processes that compile two signatures at once load each
other's code.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import stat
import sys
import tempfile
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import llvmlite.binding as llvm
import numba
import numpy as np
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.dispatcher import Dispatcher
from numba.core.serialize import dumps

__all__ = ["cache_folder", "inline", "kernel_key", "njit"]

F = TypeVar("F", bound=Callable[..., Any])


@cache
def kernel_key() -> str:
    """Return the hex digest of all that decides what the kernels compute.

    That is: the source of every module in this folder, the versions of Python, Numba, llvmlite and NumPy, and
    the name and features of the CPU that is compiled for. Answers are promised to be equal bit by bit under
    one key.
    """
    digest = hashlib.blake2b(digest_size=16)
    parts = [
        *(
            path.name.encode() + b"\0" + path.read_bytes()
            for path in sorted(Path(__file__).parent.glob("*.py"))
        ),
        repr(sys.version_info[:3]).encode(),
        numba.__version__.encode(),
        llvm.llvm_version_info.__repr__().encode(),
        np.__version__.encode(),
        (numba.config.CPU_NAME or llvm.get_host_cpu_name()).encode(),
        (numba.config.CPU_FEATURES or llvm.get_host_cpu_features().flatten()).encode(),
    ]
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


@cache
def cache_folder() -> Path | None:
    """Return the folder of the machine code of this `kernel_key`; None where no folder can be written.

    `GNOMON_CACHE_DIR` names the base; else it is the user's cache folder; else one below the temporary folder
    that belongs to this user alone (what is loaded from it is run, so a folder that others can write is never
    used).
    """
    for base in _cache_bases():
        folder = base / "kernels" / kernel_key()
        try:
            base.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        if _is_trusted(base):
            return folder
    return None


def _cache_bases() -> list[Path]:
    named = os.environ.get("GNOMON_CACHE_DIR")
    if named:
        return [Path(named)]
    if sys.platform == "darwin":
        user = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        user = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    owner = os.getuid() if hasattr(os, "getuid") else "user"
    return [user / "gnomon", Path(tempfile.gettempdir()) / f"gnomon-{owner}"]


def _is_trusted(base: Path) -> bool:
    """Whether `base` was named, lies outside the folder that users share, or belongs to this user alone."""
    named = "GNOMON_CACHE_DIR" in os.environ
    if named or not hasattr(os, "getuid") or Path(tempfile.gettempdir()) not in base.parents:
        return True
    found = base.lstat()
    return (
        found.st_uid == os.getuid()
        and stat.S_ISDIR(found.st_mode)
        and not stat.S_IMODE(found.st_mode) & 0o077
    )


class _Locator(_CacheLocator):  # type: ignore[misc]
    """Every kernel lives in `cache_folder()`, whose name is the key: freshness needs no stamp."""

    def ensure_cache_path(self) -> None:
        """Nothing to do: `cache_folder()` tried it; a disk that fills up later is met when saving."""

    def get_cache_path(self) -> str:
        return str(cache_folder())

    def get_source_stamp(self) -> str:
        return kernel_key()

    def get_disambiguator(self) -> str:
        return kernel_key()[:8]

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _Locator:
        return cls()


class _Reducer(CompileResultCacheImpl):  # type: ignore[misc]
    def __init__(self, py_func: Callable[..., Any]) -> None:
        # Not the base's: NUMBA_CACHE_LOCATOR_CLASSES is the user's choice for the user's own functions.
        self._lineno = py_func.__code__.co_firstlineno
        self._locator = _Locator()
        name = f"{py_func.__module__}.{py_func.__qualname__}".replace("<", "").replace(">", "")
        self._filename_base = f"{name}-{sys.implementation.cache_tag}"


class _Files:
    """One file a compiled signature."""

    def __init__(self, base: Path) -> None:
        self._base = base

    def _path(self, key: object) -> Path:
        return Path(f"{self._base}-{hashlib.blake2b(repr(key).encode(), digest_size=12).hexdigest()}.nbc")

    def load(self, key: object) -> Any:
        try:
            return pickle.loads(self._path(key).read_bytes())  # noqa: S301 — see `cache_folder`
        except (OSError, EOFError, pickle.UnpicklingError):
            # Never written, or cut short by a power failure: compiling again gives the same code.
            return None

    def save(self, key: object, data: object) -> None:
        path = self._path(key)
        temporary = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
        try:
            temporary.write_bytes(dumps(data))
            temporary.replace(path)
        except OSError:
            # A full disk must not stop a computation that has its code in memory.
            temporary.unlink(missing_ok=True)

    def flush(self) -> None:
        for path in self._base.parent.glob(f"{self._base.name}-*.nbc"):
            path.unlink(missing_ok=True)


class _Cache(FunctionCache):  # type: ignore[misc]
    _impl_class = _Reducer

    def __init__(self, py_func: Callable[..., Any]) -> None:
        super().__init__(py_func)
        self._cache_file = _Files(Path(self._cache_path) / self._impl.filename_base)


def njit(function: F) -> F:
    """Compile an entry point: no GIL, IEEE division, machine code kept on disk by `kernel_key`."""
    compiled: F = numba.njit(nogil=True, error_model="numpy")(function)
    # A plain function comes back under NUMBA_DISABLE_JIT, which debuggers and coverage use.
    if isinstance(compiled, Dispatcher) and cache_folder() is not None:
        compiled._cache = _Cache(function)
    return compiled


def inline(function: F) -> F:
    """Compile a helper that becomes part of each kernel that calls it; it leaves no file of its own."""
    compiled: F = numba.njit(nogil=True, error_model="numpy", forceinline=True)(function)
    return compiled
