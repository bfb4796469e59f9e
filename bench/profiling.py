"""Where our side's time goes: one turn under Python's profiler → functions by their own time.

Shares and not seconds: the profiler slows short functions down, most where there are many calls. It sees this thread
alone: compiled kernels and libraries are one line each, and `acquire` of a lock is waiting for our own threads.
"""

from __future__ import annotations

import cProfile
import pstats
import tempfile
from pathlib import Path
from typing import Any

from bench.harness import Job, Sizes, Work

SHOWN = 15


def profile(work: Work, sizes: Sizes, *, data: Path, threads: int) -> str:
    """Open our side in this process, warm it up with a turn, and tell of the next one."""
    data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=data) as folder:
        job = Job(sizes, data, Path(folder), Path(folder) / "shared", threads)
        job.shared.mkdir()
        if work.prepare is not None:
            work.prepare(job)
        side = work.ours(job)
        side.turn()
        watched = cProfile.Profile()
        watched.runcall(side.turn)
    return "\n".join([f"{work.title.format(**sizes)}: shares of one turn", *_lines(pstats.Stats(watched))])


def _lines(stats: pstats.Stats) -> list[str]:
    """The functions that took the most time themselves, with how often they were called."""
    known: dict[tuple[str, int, str], Any] = stats.stats  # type: ignore[attr-defined]
    # Collecting garbage comes before the turn's watch is started.
    of_turn = {where: told for where, told in known.items() if "gc.collect" not in where[2]}
    ranked = sorted(of_turn.items(), key=lambda item: item[1][2], reverse=True)
    total = sum(own for _, (_, _, own, _, _) in ranked) or 1.0
    return [
        f"{own / total:7.1%} {calls:>10,} calls  {_place(where)}"
        for where, (_, calls, own, _, _) in ranked[:SHOWN]
    ]


def _place(where: tuple[str, int, str]) -> str:
    file, line, name = where
    return name if file in ("~", "") else f"{name} ({'/'.join(Path(file).parts[-2:])}:{line})"
