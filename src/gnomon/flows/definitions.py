"""A project's definitions: the file, folder or module that gnomon.toml names → modules to collect from."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType

from gnomon.config import Config
from gnomon.define.base import all_at_once
from gnomon.errors import DataError, DefinitionError, GnomonError, UsageError


def load_definitions(config: Config) -> list[ModuleType]:
    """Run the project's definitions.

    Raises: DefinitionError with what is wrong in all of them; DataError if there are none, or their code fails,
            with the line that failed.
    """
    with all_at_once() as problems:
        try:
            modules = _load(config)
        except GnomonError as error:
            if not problems and not isinstance(error, UsageError):
                raise
            # A name that definitions get wrong is a wrong definition; a failure that follows from one is no news.
            if isinstance(error, DefinitionError | UsageError):
                problems.extend(error.problems)
    if problems:
        raise DefinitionError(problems)
    return modules


def _load(config: Config) -> list[ModuleType]:
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
    return [_import(config)]


def has_definitions(config: Config) -> bool:
    """Whether there is something to load: a file, a folder, or a module that can be found."""
    path = config.root / config.definitions
    if path.exists() or path.suffix == ".py":
        return path.exists()
    with _on_path(config.root):
        try:
            return importlib.util.find_spec(config.definitions) is not None
        except ImportError:  # the package that it should lie in is missing
            return False


def _import(config: Config) -> ModuleType:
    """Import a module, from the project's folder or from anywhere on the path."""
    name = config.definitions
    with _on_path(config.root):
        try:
            return importlib.import_module(name)
        except GnomonError:
            raise
        except (Exception, SystemExit) as error:
            if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
                raise DataError(
                    f"the module `{name}` cannot be imported: {error}",
                    at="gnomon.toml: project.definitions",
                    hint="name a file, a folder, or a module that Python finds from the project's folder",
                ) from None
            raise _failure(error, config.root, name) from error


def _run(file: Path) -> ModuleType:
    """Run a file as the module of its name, not importable: two projects may both have a features.py."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with _on_path(file.parent):
        try:
            spec.loader.exec_module(module)
        except GnomonError:
            raise
        except (Exception, SystemExit) as error:
            raise _failure(error, file.parent, str(file)) from error
    return module


def _failure(error: BaseException, home: Path, whole: str) -> DataError:
    """What went wrong in a user's code, with the innermost line that lies in the folder `home`; `whole` if none
    does.
    """
    told = traceback.format_exception_only(error)
    if isinstance(error, SyntaxError) and Path(error.filename or "").is_file():
        # Between the place and the message stand the line and, below it, the caret.
        snippet = "".join(told[1:-1]).rstrip()
        return DataError(f"{told[-1].rstrip()}\n{snippet}".rstrip(), at=f"{error.filename}:{error.lineno}")
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(home)]
    place = f"{own[-1].filename}:{own[-1].lineno}" if own else whole
    return DataError(f"{type(error).__name__}: {error}", at=place)


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    """Let definitions import their neighbours while they are loaded."""
    text = str(folder)
    sys.path.insert(0, text)
    try:
        # What definitions print is no result of a command.
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.path.remove(text)
