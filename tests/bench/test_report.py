"""The document gathers works measured alike, and the page's section is rewritten between its markers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import report
from bench.harness import Outcome, SideOutcome
from bench.reach import Verdict

CONDITIONS = {"scale": "full", "machine": "m", "versions": {"duckdb": "2"}}


def outcome(work: str, seconds: float = 0.5, **more: Any) -> Outcome:
    ours = SideOutcome("gnomon", turns=[{"seconds": seconds}], peak_bytes=1_500_000_000)
    peer = SideOutcome("duckdb", turns=[{"seconds": 1.0}], peak_bytes=2_000_000_000)
    return Outcome(work, f"the {work}", {"n": 1}, ours, [peer], [Verdict("no slower", True)], **more)


def document(*outcomes: Outcome, date: str | None = "2026-01-02") -> report.Document:
    return report.document(list(outcomes), CONDITIONS, "python -m bench", date)


def test_a_row_shows_figures_ratio_and_verdict() -> None:
    header, line, row = report.table(document(outcome("a"))).splitlines()
    assert [cell.strip() for cell in header.strip("|").split("|")] == list(report.HEADER)
    assert set(line) <= set("|-")
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        "the a",
        "0.500 s, 1.5 GB",
        "duckdb 1.00 s, 2.0 GB",
        "2.00",
        "no slower",
        "yes",
    ]


def test_a_row_without_peers_or_with_a_failure_says_so() -> None:
    failed = Outcome(
        "f", "the f", {}, SideOutcome("gnomon", error="boom"), [], problems=["gnomon failed: boom"]
    )
    text = report.table(document(failed))
    assert [cell.strip() for cell in text.splitlines()[2].strip("|").split("|")] == [
        "the f",
        "failed",
        *("–",) * 4,
    ]
    assert text.endswith("* f: gnomon failed: boom")


def test_percentiles_are_shown_in_microseconds() -> None:
    side = SideOutcome("gnomon", turns=[{"p50_us": 12.345, "p99_us": 4567.8}])
    assert "p50 12.3 µs, p99 4,568 µs" in report.table(document(Outcome("o", "o", {}, side, [])))


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.0123456, "0.0123"), (0.5, "0.500"), (9.999, "10.00"), (61.24, "61.2"), (1234.5, "1,234")],
)
def test_three_digits_are_shown(number: float, text: str) -> None:
    side = SideOutcome("s", turns=[{"seconds": number}])
    assert f"{text} s," in report.table(document(Outcome("o", "o", {}, side, [])))


def test_works_measured_alike_gather_in_the_order_of_the_table(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "results.json"
    report.save(path, document(outcome("b"), outcome("c"), date="2026-01-01"))
    new = report.merged(path, document(outcome("a"), outcome("c", 9.0)), ["a", "b", "c"])
    assert list(new["works"]) == ["a", "b", "c"]
    assert [work["date"] for work in new["works"].values()] == ["2026-01-02", "2026-01-01", "2026-01-02"]
    assert new["works"]["c"]["ours"]["median"] == {"seconds": 9.0}


def test_other_conditions_begin_a_new_document(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    report.save(path, document(outcome("b")))
    elsewhere = {**document(outcome("a")), "conditions": {**CONDITIONS, "machine": "other"}}
    assert list(report.merged(path, elsewhere, ["a", "b"])["works"]) == ["a"]


def test_only_the_marked_section_of_a_page_is_rewritten() -> None:
    page = f"# Speed\n\nbefore\n\n{report.BEGIN}\nold\n{report.END}\n\nafter\n"
    once = report.rewrite(page, "new")
    assert once == f"# Speed\n\nbefore\n\n{report.BEGIN}\nnew\n{report.END}\n\nafter\n"
    assert report.rewrite(once, "new") == once


@pytest.mark.parametrize("page", ["", report.BEGIN, report.END, f"{report.END} {report.BEGIN}"])
def test_a_page_without_both_markers_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="no section to rewrite"):
        report.rewrite(page, "new")


def test_the_section_names_machine_versions_command_and_date() -> None:
    text = report.section(document(outcome("a"), outcome("b")))
    assert text.startswith("m; duckdb 2; scale full.")
    assert text.endswith("* 2026-01-02, `python -m bench`: a, b")


def test_the_machine_is_one_line() -> None:
    line = report.machine(2)
    assert "2 threads" in line
    assert "\n" not in line
