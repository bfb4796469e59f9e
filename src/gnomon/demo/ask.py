"""A process of its own that answers questions from the online store and nothing else.

    python -m gnomon.demo.ask PROJECT QUESTIONS.parquet ANSWERS.parquet [ONLINE_URL]

It reads the registry and the online store; the project's data files may be gone.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

from gnomon.store import Store

KEYS = ("origin", "dest", "carrier", "tailnum")
SERVICE = "delay_model"


def main(project: str, questions: str, answers: str, online: str | None = None) -> None:
    """Answer every question at its own time, and write values and statuses."""
    asked = pl.read_parquet(questions)
    with Store(project, online=online) as store:
        found = store.get_online_features(
            SERVICE,
            asked.select(KEYS),
            request={"scheduled_minutes": asked["scheduled_minutes"].to_list()},
            at=asked["event_timestamp"].to_list(),
        )
    statuses = pl.DataFrame(
        {f"{name}:status": [row[i] for row in found.statuses] for i, name in enumerate(found.names)}
    )
    found.to_polars().hstack(statuses.get_columns()).write_parquet(Path(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
