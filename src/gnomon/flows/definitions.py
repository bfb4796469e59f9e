"""A project's definitions: the file, folder or module that gnomon.toml names → the modules to collect from."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from gnomon.config import Config
from gnomon.errors import DataError, GnomonError


def load_definitions(config: Config) -> list[ModuleType]:
    """Run the project's definitions.

    Raises: DataError if there are none, or their code fails, with the line that failed.
    """
    path = config.root / config.definitions
    if path.is_dir():
        files = sorted(p for p in path.rglob("*.py") if not p.name.startswith("_"))
        if not files:
            raise DataError(f"no definitions in `{config.definitions}`", at=str(path))
        return [_run(file) for file in files]
    if path.suffix == ".py":
        if not path.is_file():
            raise DataError(
                f"no definitions at `{config.definitions}`",
                at=str(path),
                hint="write them there, or set `definitions` in gnomon.toml",
            )
        return [_run(path)]
    try:
        return [importlib.import_module(config.definitions)]
    except ImportError as error:
        raise DataError(
            f"the module `{config.definitions}` cannot be imported: {error}",
            at="gnomon.toml: project.definitions",
        ) from None


def _run(file: Path) -> ModuleType:
    """Run a file as the module of its name, without making it importable: two projects may both have a features.py."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(file.parent)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except GnomonError:
        raise
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == file]
        line = f":{frames[-1].lineno}" if frames else ""
        raise DataError(f"{type(error).__name__}: {error}", at=f"{file}{line}") from error
    finally:
        sys.path.remove(folder)
    return module
