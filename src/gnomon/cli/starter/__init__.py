"""Starter: the small project that `gnomon init` writes. Its data are made up, from a fixed seed."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gnomon.config import DEFAULT_TEXT, FILE_NAME
from gnomon.errors import UsageError

ASK_AT = "2025-06-30T12:00:00Z"
"""A time just after the last order, about which online values can be asked."""

_SEED = 20250101
_FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
_DAYS, _CUSTOMERS, _ORDERS, _VISITS = 180, 40, 300, 60
_CATEGORIES = ("books", "garden", "kitchen", "music", "toys")


def write(folder: Path) -> list[str]:
    """Write the project into a folder, which is made if need be; the names of its files.

    Raises: UsageError if the folder holds anything already.
    """
    refuse_in_use(folder)
    name = re.sub(r"[^\w .-]", "_", folder.resolve().name) or "project"
    files = {
        FILE_NAME: DEFAULT_TEXT.format(name=name),
        "features.py": _template("features.py"),
        "orders.csv": "\n".join(_orders()) + "\n",
        "spine.csv": "\n".join(_visits()) + "\n",
        "README.md": _template("README.md").replace("{name}", name).replace("{at}", ASK_AT),
        ".gitignore": ".gnomon/\n__pycache__/\n",
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (folder / file).write_text(text, encoding="utf-8")
    return list(files)


def refuse_in_use(folder: Path) -> None:
    """Raises: UsageError if the folder holds anything."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"`{folder}` is in use", hint="name a new or empty folder: nothing is ever overwritten"
        )


def _template(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _orders() -> Iterator[str]:
    """Some customers order often, most seldom; dearer things are bought one at a time."""
    rng = random.Random(_SEED)
    yield "order_id,customer,ordered_at,category,amount,items"
    for number, at in enumerate(_times(rng, _ORDERS), 1):
        items = 1 + int(rng.random() ** 2 * 5)
        amount = round(8 + 140 * rng.random() ** 3 + 9 * items * rng.random(), 2)
        category = _CATEGORIES[int(rng.random() * len(_CATEGORIES))]
        yield f"{1000 + number},{_customer(rng)},{at},{category},{amount:.2f},{items}"


def _visits() -> Iterator[str]:
    """Visits of the later half, when most customers have a history; one customer is not known at all."""
    rng = random.Random(_SEED + 1)
    yield "customer,event_timestamp,basket"
    for number, at in enumerate(_times(rng, _VISITS, first=_DAYS // 2)):
        customer = "c99" if number == _VISITS // 2 else _customer(rng)
        yield f"{customer},{at},{5 + 120 * rng.random() ** 2:.2f}"


def _customer(rng: random.Random) -> str:
    return f"c{1 + int(rng.random() ** 2 * _CUSTOMERS):02}"


def _times(rng: random.Random, count: int, first: int = 0) -> list[str]:
    """Sorted instants of the days from `first` on, by day rather than by night."""
    seconds = sorted(
        (first + int(rng.random() * (_DAYS - first))) * 86_400 + 25_200 + int(rng.random() * 54_000)
        for _ in range(count)
    )
    return [(_FIRST_DAY + timedelta(seconds=s)).strftime("%Y-%m-%dT%H:%M:%SZ") for s in seconds]
