"""Command line: works and a scale → the table, `results.json`, the section in the documentation."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from bench import asof, counted, harness, hot, materialize, objects, online, report, serve, servers, windows
from bench.profiling import profile

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "bench" / ".data"
PAGE = ROOT / "docs" / "performance.md"
WORKS = (
    *asof.WORKS,
    *windows.WORKS,
    *counted.WORKS,
    *materialize.WORKS,
    *objects.WORKS,
    *online.WORKS,
    *hot.WORKS,
    *servers.WORKS,
    *serve.WORKS,
)


def main() -> int:
    """Exit status: 0 all ran and agreed, whatever was reached; 1 a side failed or values differ."""
    arguments = parse()
    chosen = choose(arguments.only, arguments.huge, arguments.side)
    limit_threads(arguments.threads)
    if arguments.profile:
        for work in chosen:
            sizes = work.small if arguments.scale == "small" else work.full
            print(profile(work, sizes, data=DATA, threads=arguments.threads), end="\n\n")
        return 0
    outcomes = []
    for work in chosen:
        print(f"{work.name} …", end=" ", file=sys.stderr, flush=True)
        sizes = work.small if arguments.scale == "small" else work.full
        outcome = harness.run(work, sizes, data=DATA, threads=arguments.threads, sides=arguments.side)
        print(*outcome.problems or ["done"], sep="\n  ", file=sys.stderr, flush=True)
        outcomes.append(outcome)

    command = " ".join(["python -m bench", *sys.argv[1:]])
    conditions = report.conditions(arguments.scale, arguments.threads)
    content = report.document(outcomes, conditions, command, arguments.date)
    print(report.table(content))
    if not arguments.side:
        keep(arguments, content)
    return 1 if any(outcome.problems for outcome in outcomes) else 0


def keep(arguments: argparse.Namespace, content: report.Document) -> None:
    """Write the document and, for a dated run at full scale, the documentation's section."""
    full = arguments.scale == "full"
    path = arguments.json or (ROOT / "bench" / "results.json" if full else DATA / "results-small.json")
    content = report.merged(path, content, [work.name for work in WORKS])
    report.save(path, content)
    if full and arguments.date:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(report.rewrite(page, report.section(content)), encoding="utf-8")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--scale", choices=("small", "full"), default="full")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="a work, or a prefix of some"
    )
    parser.add_argument("--huge", action="store_true", help="also the works that take many minutes")
    parser.add_argument(
        "--side", action="append", default=[], metavar="NAME", help="only this side; writes no file"
    )
    parser.add_argument(
        "--profile", action="store_true", help="tell where our side's time goes; measures and writes nothing"
    )
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--json", type=Path, metavar="PATH", help="where results go")
    parser.add_argument(
        "--date", metavar="YYYY-MM-DD", help="write docs/performance.md with this date (full scale)"
    )
    return parser.parse_args()


def choose(only: list[str], huge: bool, sides: list[str]) -> list[harness.Work]:
    """The works whose names begin with one of `only`, or all; huge ones if asked for or named in full.

    Where `sides` are named, those works alone that have one of them.
    """
    chosen = [
        work
        for work in WORKS
        if (not only or any(work.name.startswith(name) for name in only))
        and (huge or not work.huge or work.name in only)
        and (not sides or any(side.name in sides for side in (work.ours, *work.peers)))
    ]
    if not chosen:
        sys.exit(f"no such work; there are: {', '.join(work.name for work in WORKS)}")
    return chosen


def limit_threads(threads: int) -> None:
    """Have every process started from here on see `threads` processors."""
    for name in ("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:threads]))


if __name__ == "__main__":
    sys.exit(main())
