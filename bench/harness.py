"""Contests: each side in a process of its own, asked in turns → medians, ratio, peak memory, verdicts.

A `Work` names our side, its peers, the sizes and what is to be reached. Every side is opened in a process of
its own (spawned, so that nothing is inherited) and warmed up once; then all are asked in turns, so that a
slow moment of the machine hits all of them. Only afterwards are results compared: that costs no side memory.
"""

from __future__ import annotations

import gc
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar

from bench.reach import Reach, Verdict

Sizes = Mapping[str, Any]
Measure = dict[str, float]
"""What one turn gives: `seconds`, or `p50_us` and `p99_us`."""
Digest = dict[str, Sequence[float]]
"""Per output column: numbers that agree when the values do, whatever the order of the rows."""

TOLERANCE = 1e-9
"""Relative: peers sum floats in an order of their own; a wrong row moves a digest by far more."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a side is told when it is opened."""

    sizes: Sizes
    data: Path
    """Where generated input is kept between runs."""
    scratch: Path
    """An empty folder of this side's own, removed after the contest."""
    shared: Path
    """A folder that all sides of the contest see, removed with it."""
    threads: int


class Side(ABC):
    """One contestant. Opening it prepares everything that is not measured."""

    name: ClassVar[str]

    def __init__(self, job: Job) -> None:
        self.job = job

    @abstractmethod
    def turn(self) -> Measure:
        """Do the work once and measure it."""

    def digest(self) -> Digest:
        """Of the latest turn's result; empty where there is nothing to compare."""
        return {}

    def sample(self) -> tuple[int, int] | None:
        """(values looked at, values that differ in any bit) against brute force; None if not checked."""
        return None

    def close(self) -> None:  # noqa: B027 - most sides have nothing that does
        """End what would go on writing into the side's folder after its process."""


class Timed(Side):
    """A side whose turn is one long piece of work."""

    result: Any = None

    @abstractmethod
    def work(self) -> Any:
        """The measured body; what it returns is kept until the next turn, for `digest`."""

    def turn(self) -> Measure:
        self.result = None
        self.reset()
        gc.collect()
        begin = time.perf_counter()
        self.result = self.work()
        return {"seconds": time.perf_counter() - begin}

    def reset(self) -> None:
        """Undo what the latest turn left, unmeasured."""


class Sampled(Side):
    """A side whose turn is many short calls, each timed."""

    @abstractmethod
    def requests(self) -> Sequence[Any]:
        """The arguments of one turn's calls, the same in each turn."""

    @abstractmethod
    def call(self, request: Any) -> Any:
        """The measured body."""

    def turn(self) -> Measure:
        requests, call, clock = self.requests(), self.call, time.perf_counter_ns
        spent = []
        for request in requests:
            begin = clock()
            call(request)
            spent.append(clock() - begin)
        spent.sort()
        return {"p50_us": spent[len(spent) // 2] / 1e3, "p99_us": spent[len(spent) * 99 // 100] / 1e3}


@dataclass(frozen=True, slots=True)
class Work:
    """One row of the table."""

    name: str
    title: str
    """Text with the sizes in braces, as `"{spine:,} spine"`."""
    small: Sizes
    """Sizes for a quick look: everything under some seconds, the figures mean little."""
    full: Sizes
    """The sizes that the reaches are about."""
    ours: type[Side]
    peers: tuple[type[Side], ...] = ()
    reaches: tuple[Reach, ...] = ()
    turns: int = 5
    """Measured turns after the warm-up; 0 takes the warm-up's figure, where one turn is minutes."""
    prepare: Callable[[Job], None] | None = None
    """Runs first, in a process of its own; what it leaves in `Job.shared` is there for every side."""
    comparable: bool = True
    """Whether all sides give the same values."""
    huge: bool = False
    """Runs only when asked for."""


@dataclass(slots=True)
class SideOutcome:
    """What one side did."""

    name: str
    first: Measure = field(default_factory=dict)
    """The warm-up turn: compiling, reading files for the first time."""
    turns: list[Measure] = field(default_factory=list)
    peak_bytes: int = 0
    """Greatest resident memory of the process, preparing included, comparing not."""
    digest: Digest = field(default_factory=dict)
    sample: tuple[int, int] | None = None
    error: str = ""

    @property
    def median(self) -> Measure:
        """Each metric's median over the turns, or the warm-up's if it was the only one; empty on failure."""
        if self.error:
            return {}
        turns = self.turns or [self.first]
        return {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}

    @property
    def score(self) -> float | None:
        """The median of the metric that sides are compared by: less is better; None if it did not run."""
        return next(iter(self.median.values()), None)


@dataclass(slots=True)
class Outcome:
    """A row of the table, measured."""

    work: str
    title: str
    sizes: Sizes
    ours: SideOutcome | None
    peers: list[SideOutcome]
    verdicts: list[Verdict] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Sides that failed, values that differ: a figure beside one of these means nothing."""

    def ratio_to(self, name: str = "") -> float | None:
        """How many times faster we are than the peer of that name, or than the fastest; None if unknown."""
        scores = [peer.score for peer in self.peers if peer.score is not None and name in ("", peer.name)]
        if self.ours is None or not self.ours.score or not scores:
            return None
        return min(scores) / self.ours.score


class Failed(RuntimeError):
    """A side raised, or its process died."""


class Worker:
    """A side in a process of its own."""

    def __init__(self, side: type[Side], job: Job) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, side, job), daemon=True)
        self._process.start()
        theirs.close()
        self._receive()

    def ask(self, question: str) -> Any:
        """Have the side answer `turn`, `peak`, `digest` or `sample`. Raises: Failed."""
        self._connection.send(question)
        return self._receive()

    def close(self) -> None:
        self._connection.close()
        self._process.join(timeout=30)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _receive(self) -> Any:
        try:
            good, value = self._connection.recv()
        except EOFError:
            self._process.join()
            raise Failed(f"its process ended with {self._process.exitcode}") from None
        if not good:
            raise Failed(value)
        return value


def run(work: Work, sizes: Sizes, *, data: Path, threads: int, sides: Sequence[str] = ()) -> Outcome:
    """Hold one contest; `sides` leaves only those named."""
    chosen = [side for side in (work.ours, *work.peers) if not sides or side.name in sides]
    outcomes = {side: SideOutcome(side.name) for side in chosen}
    data.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scratch-", dir=data)))
        job = Job(sizes, data, scratch, scratch / "shared", threads)
        job.shared.mkdir()
        if work.prepare is not None:
            try:
                _alone(work.prepare, job)
            except Failed as failure:
                for side_outcome in outcomes.values():
                    side_outcome.error = str(failure)
                chosen = []
        workers: dict[type[Side], Worker] = {}
        for i, side in enumerate(chosen):
            folder = scratch / f"{i}-{side.name}"
            folder.mkdir()
            with _noting(outcomes[side]):
                workers[side] = Worker(side, replace(job, scratch=folder))
                stack.callback(workers[side].close)
                outcomes[side].first = workers[side].ask("turn")
        for _ in range(work.turns):
            for side, worker in workers.items():
                if not outcomes[side].error:
                    with _noting(outcomes[side]):
                        outcomes[side].turns.append(worker.ask("turn"))
        for side, worker in workers.items():
            if not outcomes[side].error:
                with _noting(outcomes[side]):
                    outcomes[side].peak_bytes = worker.ask("peak")
                    outcomes[side].digest = worker.ask("digest")
                    outcomes[side].sample = worker.ask("sample")
    ours = outcomes.get(work.ours)
    peers = [outcomes[side] for side in work.peers if side in outcomes]
    outcome = Outcome(work.name, work.title.format(**sizes), dict(sizes), ours, peers)
    outcome.problems = _problems(outcome, work.comparable)
    if ours is not None and not ours.error:
        outcome.verdicts = [reach.judge(outcome) for reach in work.reaches]
    return outcome


def differences(one: Digest, other: Digest) -> list[str]:
    """Columns that the two do not share, or whose numbers are not near each other."""
    columns = sorted(one.keys() ^ other.keys())
    for column in sorted(one.keys() & other.keys()):
        pairs = zip(one[column], other[column], strict=True)
        if any(abs(a - b) > TOLERANCE * max(abs(a), abs(b), 1.0) for a, b in pairs):
            columns.append(column)
    return columns


def peak_bytes() -> int:
    """Greatest resident memory of this process.

    Linux: VmHWM and not `ru_maxrss`, which a child inherits from the process that started it.
    """
    if sys.platform.startswith("linux"):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@contextmanager
def _noting(outcome: SideOutcome) -> Iterator[None]:
    """Keep a side's failure as its outcome, and let the others go on."""
    try:
        yield
    except Failed as failure:
        outcome.error = str(failure)


def _alone(prepare: Callable[[Job], None], job: Job) -> None:
    """Run `prepare` in a process of its own, gone with its memory and open files. Raises: Failed."""
    process = multiprocessing.get_context("spawn").Process(target=prepare, args=(job,))
    process.start()
    process.join()
    if process.exitcode:
        raise Failed(f"preparing ended with {process.exitcode}")


def _problems(outcome: Outcome, comparable: bool) -> list[str]:
    found = []
    sides = [side for side in (outcome.ours, *outcome.peers) if side is not None]
    for side in sides:
        if side.error:
            found.append(f"{side.name} failed: {side.error.strip().splitlines()[-1]}")
        if side.sample and side.sample[1]:
            found.append(f"{side.name}: {side.sample[1]} of {side.sample[0]} values differ from brute force")
    compared = [side for side in sides if side.digest and comparable]
    for other in compared[1:]:
        if columns := differences(compared[0].digest, other.digest):
            found.append(f"{compared[0].name} and {other.name} differ in {', '.join(columns[:5])}")
    return found


def _serve(connection: Connection, side_type: type[Side], job: Job) -> None:
    """The child's whole life: open the side, answer until the other end is closed."""
    try:
        side = side_type(job)
        answers: dict[str, Callable[[], Any]] = {
            "turn": side.turn,
            "peak": peak_bytes,
            "digest": side.digest,
            "sample": side.sample,
        }
        connection.send((True, None))
        while True:
            try:
                question = connection.recv()
            except EOFError:
                side.close()
                return
            connection.send((True, answers[question]()))
    except Exception:  # noqa: BLE001 - the edge of a process: whatever happened is told to the one who asked
        connection.send((False, traceback.format_exc()))
