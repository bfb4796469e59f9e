"""Where our side's time goes."""

from __future__ import annotations

from pathlib import Path

from bench.harness import Job, Timed, Work
from bench.profiling import SHOWN, profile


def slow_part() -> int:
    return sum(i * i for i in range(200_000))


class Busy(Timed):
    name = "busy"

    def work(self) -> int:
        assert (self.job.shared / "prepared").exists()
        return slow_part()


def prepare(job: Job) -> None:
    (job.shared / "prepared").touch()


def test_functions_are_told_by_their_own_time_and_nothing_stays_behind(tmp_path: Path) -> None:
    work = Work("busy", "busy with {n}", {"n": 1}, {"n": 2}, Busy, prepare=prepare)
    head, *lines = profile(work, work.full, data=tmp_path, threads=1).splitlines()
    assert head == "busy with 2: shares of one turn"
    assert any("test_profiling.py" in line for line in lines[:3])
    assert not any("gc.collect" in line for line in lines)
    shares = [float(line.split("%")[0]) for line in lines]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) > 90
    assert len(lines) <= SHOWN
    assert list(tmp_path.iterdir()) == []
