"""Contests of sides that cost nothing: turns alternate, failures stay with their side, values agree."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import harness
from bench.harness import Digest, Job, Measure, Outcome, Sampled, Side, SideOutcome, Timed, Work


class Scripted(Side):
    """Writes its name into a list that all sides share; the measure is the number of the turn."""

    seconds = 1.0

    def turn(self) -> Measure:
        with (self.job.shared.parent.parent / "log").open("a") as log:
            log.write(f"{self.name} ")
        return {"seconds": self.seconds}

    def digest(self) -> Digest:
        return {"x": (3.0, 1.5)}


class Ours(Scripted):
    name = "ours"

    def sample(self) -> tuple[int, int]:
        return 10, 0


class Peer(Scripted):
    name = "peer"
    seconds = 3.0


class SlowPeer(Scripted):
    name = "slow"
    seconds = 30.0


class Elsewhere(Peer):
    """Gives other values."""

    def digest(self) -> Digest:
        return {"x": (3.0, 1.6), "y": (1.0,)}


class Raising(Peer):
    def turn(self) -> Measure:
        raise ValueError("no such thing")


class Dying(Peer):
    name = "dying"

    def turn(self) -> Measure:
        os._exit(7)


class Wrong(Ours):
    def sample(self) -> tuple[int, int]:
        return 10, 4


class Big(Peer):
    """Holds 150 MB for a moment."""

    def turn(self) -> Measure:
        bytearray(b"x" * 150_000_000)
        return super().turn()


def leave_a_file(job: Job) -> None:
    (job.shared / "left").write_text(str(job.sizes["n"]))


def refuse(job: Job) -> None:
    os._exit(5)


class Reading(Ours):
    """Opens only with what `leave_a_file` left."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.seconds = float((job.shared / "left").read_text())


def hold(
    tmp_path: Path, ours: type[Side], *peers: type[Side], sides: Sequence[str] = (), **more: Any
) -> Outcome:
    work = Work("w", "{n} things", {"n": 1}, {"n": 5}, ours, peers, **{"turns": 2, **more})
    return harness.run(work, work.full, data=tmp_path, threads=1, sides=sides)


def test_all_sides_are_warmed_up_and_then_asked_in_turns(tmp_path: Path) -> None:
    outcome = hold(tmp_path, Ours, Peer)
    assert (tmp_path / "log").read_text().split() == ["ours", "peer"] + ["ours", "peer"] * 2
    assert outcome.title == "5 things"
    assert outcome.problems == []
    assert outcome.ours is not None
    assert outcome.ours.sample == (10, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_the_ratio_is_to_the_fastest_peer_or_the_named_one(tmp_path: Path) -> None:
    outcome = hold(tmp_path, Ours, SlowPeer, Peer)
    assert outcome.ratio_to() == 3.0
    assert outcome.ratio_to("slow") == 30.0
    assert outcome.ratio_to("nobody") is None


def test_a_failure_stays_with_its_side(tmp_path: Path) -> None:
    outcome = hold(tmp_path, Ours, Raising, Dying, SlowPeer, turns=1)
    assert outcome.problems == [
        "peer failed: ValueError: no such thing",
        "dying failed: its process ended with 7",
    ]
    assert outcome.peers[0].median == outcome.peers[1].median == {}
    assert outcome.ratio_to() == 30.0


def test_values_that_differ_are_a_problem_that_names_the_columns(tmp_path: Path) -> None:
    assert hold(tmp_path, Ours, Elsewhere, turns=0).problems == ["ours and peer differ in y, x"]


def test_a_sample_that_differs_is_a_problem_even_where_sides_are_not_compared(tmp_path: Path) -> None:
    outcome = hold(tmp_path, Wrong, Elsewhere, turns=0, comparable=False)
    assert outcome.problems == ["ours: 4 of 10 values differ from brute force"]


def test_sides_can_be_left_out(tmp_path: Path) -> None:
    outcome = hold(tmp_path, Ours, Peer, SlowPeer, sides=["slow"])
    assert outcome.ours is None
    assert [peer.name for peer in outcome.peers] == ["slow"]
    assert outcome.verdicts == []


def test_without_turns_the_first_one_is_the_figure(tmp_path: Path) -> None:
    outcome = hold(tmp_path, Ours, turns=0)
    assert outcome.ours is not None
    assert outcome.ours.median == {"seconds": 1.0}


def test_what_is_prepared_is_there_for_the_sides(tmp_path: Path) -> None:
    outcome = hold(tmp_path, Reading, prepare=leave_a_file)
    assert outcome.ours is not None
    assert outcome.ours.median == {"seconds": 5.0}


def test_when_preparing_fails_so_does_every_side(tmp_path: Path) -> None:
    outcome = hold(tmp_path, Ours, Peer, prepare=refuse)
    assert outcome.problems == [f"{side} failed: preparing ended with 5" for side in ("ours", "peer")]
    assert not (tmp_path / "log").exists()


def test_the_peak_is_the_side_s_own(tmp_path: Path) -> None:
    outcome = hold(tmp_path, Ours, Big, turns=0)
    assert outcome.ours is not None
    assert outcome.peers[0].peak_bytes > 150_000_000 > outcome.ours.peak_bytes > 1_000_000


def test_a_side_s_median_is_taken_metric_by_metric() -> None:
    side = SideOutcome("s", turns=[{"p50_us": a, "p99_us": b} for a, b in ((1, 9), (5, 5), (3, 7))])
    assert side.median == {"p50_us": 3, "p99_us": 7}
    assert side.score == 3


SLEPT = 0.01


class Kept(Timed):
    """Notes what it holds when its work begins."""

    name = "kept"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.seen: list[object] = []

    def reset(self) -> None:
        self.seen.append("reset")

    def work(self) -> str:
        self.seen.append(self.result)
        time.sleep(SLEPT)
        return "done"


def test_a_result_is_let_go_before_the_next_turn(tmp_path: Path) -> None:
    side = Kept(Job({}, tmp_path, tmp_path, tmp_path, 1))
    side.turn()
    assert side.result == "done"
    side.turn()
    assert side.seen == ["reset", None, "reset", None]


def test_a_turn_takes_the_seconds_of_its_work(tmp_path: Path) -> None:
    measure = Kept(Job({}, tmp_path, tmp_path, tmp_path, 1)).turn()
    assert list(measure) == ["seconds"]
    assert measure["seconds"] > SLEPT / 2


class Counting(Sampled):
    name = "counting"

    def requests(self) -> range:
        return range(200)

    def call(self, request: int) -> None:
        self.latest = request


def test_a_sampled_turn_gives_both_percentiles(tmp_path: Path) -> None:
    side = Counting(Job({}, tmp_path, tmp_path, tmp_path, 1))
    measure = side.turn()
    assert side.latest == 199
    assert 0 < measure["p50_us"] <= measure["p99_us"]


class Closing(Scripted):
    name = "closing"

    def close(self) -> None:
        (self.job.data / "closed").touch()


def test_a_side_is_closed_before_its_folder_goes(tmp_path: Path) -> None:
    hold(tmp_path, Closing)
    assert list(tmp_path.rglob("closed"))
