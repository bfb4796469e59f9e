"""Installation: the packages that are needed, in the versions that are known to work, and the compiled kernels."""

from __future__ import annotations

import operator
import re
import shutil
from collections.abc import Iterator
from functools import partial
from importlib import metadata
from itertools import zip_longest
from pathlib import Path

from gnomon.errors import counted, megabytes
from gnomon.flows.checks.check import Found
from gnomon.kernels import _jit
from gnomon.time import DAY, Clock

PACKAGES = ("polars", "numba", "numpy", "deltalake", "lmdb", "sqlalchemy", "msgspec", "typer", "rich")
"""What gnomon does not run without."""
OPTIONAL = ("pyarrow", "pandas")

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?")
_BOUND = re.compile(r"(>=|<=|==|!=|>|<)\s*([0-9][^,\s]*)")
_COMPARE = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_OLD = 14 * DAY
"""Since when the machine code of another version was not added to, so that it is taken for left over."""


def packages() -> Found:
    """Whether all that is needed is there, and in a version that it was tried with."""
    present, missing = [], []
    for package in (*PACKAGES, *OPTIONAL):
        try:
            present.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            missing.append(package)
    needed = [package for package in missing if package in PACKAGES]
    if needed:
        return Found("error", f"not installed: {', '.join(needed)}", "pip install --force-reinstall gnomon")
    needed_wrong: list[str] = []
    extra_wrong: list[str] = []
    for package, bounds, extra in requirements("gnomon"):
        version = installed(package)
        if version is not None and not within(version, bounds):
            (extra_wrong if extra else needed_wrong).append(f"{package} {version} (needs {bounds})")
    if needed_wrong or extra_wrong:
        return Found(
            "error" if needed_wrong else "warn",
            f"versions that this release was not made for: {', '.join(needed_wrong + extra_wrong)}",
            "pip install --upgrade gnomon, with the extras that you use, in an environment of its own",
        )
    absent = f"; without {', '.join(missing)} (optional)" if missing else ""
    return Found("ok", ", ".join(present) + absent)


def requirements(package: str) -> Iterator[tuple[str, str, bool]]:
    """What an installed package needs: (package, bounds, whether it comes with an extra); nothing of a source tree."""
    try:
        lines = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return
    for line in lines:
        match = _REQUIREMENT.match(line)
        if match is not None and match[2].strip():
            yield match[1], match[2].strip(), "extra" in (match[3] or "")


def installed(package: str) -> str | None:
    """The version of a package, None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def within(version: str, bounds: str) -> bool:
    """Whether a version lies within bounds such as `>=2.1,<3`. A pre-release counts as its release."""
    return all(
        _COMPARE[sign](_padded(version, bound), _padded(bound, version))
        for sign, bound in _BOUND.findall(bounds)
    )


def _padded(version: str, other: str) -> tuple[int, ...]:
    """The numbers of a version, as many as the other has at least: 3 and 3.0 are one."""
    return tuple(mine or 0 for mine, _ in zip_longest(_numbers(version), _numbers(other)))


def _numbers(version: str) -> list[int]:
    match = re.match(r"\d+(?:\.\d+)*", version)
    return [int(part) for part in match[0].split(".")] if match else []


def kernel_cache() -> Found:
    """Where machine code is kept, so that it is not compiled in every process."""
    folder = _jit.cache_folder()
    if folder is None:
        return Found(
            "warn",
            "no folder can be written: kernels are compiled again in every process",
            "set GNOMON_CACHE_DIR to a folder of your own",
        )
    files = [path for path in folder.rglob("*") if path.is_file()]
    text = (
        f"{folder} ({counted(len(files), 'kernel')}, {megabytes(_size(files))}, key {_jit.kernel_key()[:12]})"
    )
    return Found("ok", text)


def old_kernels(clock: Clock) -> Found:
    """Machine code of versions and machines that are gone: it is never run again, and never removed by itself."""
    folder = _jit.cache_folder()
    left = [] if folder is None else [other for other in _others(folder) if _is_old(other, clock())]
    if not left:
        return Found("ok", "none left over")
    size = sum(_size([path for path in other.rglob("*") if path.is_file()]) for other in left)
    return Found(
        "warn",
        f"{counted(len(left), 'folder')} of other versions, {megabytes(size)}, not written to for {_OLD // DAY} days",
        "`gnomon doctor --fix` removes them; an environment that still uses one compiles again",
        partial(_remove, left),
    )


def _others(folder: Path) -> list[Path]:
    return sorted(path for path in folder.parent.iterdir() if path.is_dir() and path != folder)


def _is_old(folder: Path, now: int) -> bool:
    times = [path.stat().st_mtime_ns // 1000 for path in [folder, *folder.iterdir()]]
    return max(times) < now - _OLD


def _remove(folders: list[Path]) -> str:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return f"removed {counted(len(folders), 'folder')} of old kernels"


def _size(files: list[Path]) -> int:
    return sum(path.stat().st_size for path in files)
