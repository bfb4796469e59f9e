"""Loading a project's definitions: a file, a folder, a module."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gnomon.config import Config
from gnomon.errors import DataError, DefinitionError
from gnomon.flows.definitions import has_definitions, load_definitions

ENTITY = 'import gnomon as gn\n{name} = gn.Entity("{name}", keys={{"{name}": int}})\n'


def load(root: Path, definitions: str):
    return load_definitions(Config(root, definitions=definitions))


def test_file_is_run_without_becoming_importable(tmp_path):
    (tmp_path / "features.py").write_text(ENTITY.format(name="user"))
    [module] = load(tmp_path, "features.py")
    assert module.user.name == "user"
    assert "features" not in sys.modules


def test_file_may_import_its_neighbour(tmp_path):
    (tmp_path / "gnomon_test_neighbour.py").write_text("COLUMN = 'user'\n")
    (tmp_path / "features.py").write_text(
        "import gnomon_test_neighbour as n\n" + ENTITY.format(name="user").replace('"user":', "n.COLUMN:")
    )
    before = list(sys.path)
    assert load(tmp_path, "features.py")[0].user.key_names == ("user",)
    assert sys.path == before


def test_every_file_of_a_folder_counts_but_the_private_ones(tmp_path):
    folder = tmp_path / "features"
    (folder / "deep").mkdir(parents=True)
    for name in ("b.py", "deep/a.py", "_private.py"):
        (folder / name).write_text(ENTITY.format(name="x"))
    assert [module.__name__ for module in load(tmp_path, "features")] == ["b", "a"]


def test_module_is_imported_from_the_projects_folder(tmp_path):
    package = tmp_path / "gnomon_test_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "features.py").write_text(ENTITY.format(name="user"))
    assert load(tmp_path, "gnomon_test_package.features")[0].user.name == "user"


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        ("features.py", "no definitions at `features.py`"),
        ("gnomon_test_nowhere", "the module `gnomon_test_nowhere` cannot be imported"),
        ("empty", "no definitions in `empty`"),
    ],
)
def test_missing_definitions_are_told(tmp_path, definitions, message):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=message):
        load(tmp_path, definitions)


@pytest.mark.parametrize("definitions", ["gnomon_test_broken.py", "gnomon_test_broken"])
def test_code_that_fails_is_told_with_its_innermost_line(tmp_path, definitions):
    file = tmp_path / "gnomon_test_broken.py"
    file.write_text("def f():\n    return 1 / 0\n\nf()\n")
    with pytest.raises(DataError, match="ZeroDivisionError") as error:
        load(tmp_path, definitions)
    assert error.value.at == f"{file}:2"


@pytest.mark.parametrize("definitions", ["gnomon_test_syntax.py", "gnomon_test_syntax"])
def test_syntax_error_is_told_with_its_line_and_a_caret(tmp_path, definitions):
    file = tmp_path / "gnomon_test_syntax.py"
    file.write_text("x = 1\n\ndef f(:\n    pass\n")
    with pytest.raises(DataError) as error:
        load(tmp_path, definitions)
    assert error.value.what == "SyntaxError: invalid syntax\n    def f(:\n          ^"
    assert error.value.at == f"{file}:3"


def test_syntax_error_of_a_neighbour_is_told_where_it_is(tmp_path):
    neighbour = tmp_path / "gnomon_test_misspelt.py"
    neighbour.write_text("\nx = )\n")
    (tmp_path / "features.py").write_text("import gnomon_test_misspelt\n")
    with pytest.raises(DataError, match="unmatched") as error:
        load(tmp_path, "features.py")
    assert error.value.at == f"{neighbour}:2"


def test_file_that_is_no_text_is_told_by_its_name(tmp_path):
    (tmp_path / "features.py").write_bytes(b"x = 1\n\0")
    with pytest.raises(DataError, match="null bytes") as error:
        load(tmp_path, "features.py")
    assert str(error.value.at).startswith(str(tmp_path / "features.py"))


@pytest.mark.parametrize("definitions", ["gnomon_test_needs.py", "gnomon_test_needs"])
@pytest.mark.parametrize(
    "line", ["import gnomon_test_absent", "raise SystemExit(2)", "raise ImportError('no')"]
)
def test_module_that_cannot_go_on_is_told_with_its_line(tmp_path, definitions, line):
    file = tmp_path / "gnomon_test_needs.py"
    file.write_text(f"x = 1\n{line}\n")
    with pytest.raises(DataError) as error:
        load(tmp_path, definitions)
    assert error.value.at == f"{file}:2"


def test_wrong_definition_stays_a_wrong_definition(tmp_path):
    (tmp_path / "features.py").write_text('import gnomon as gn\ngn.Entity("a b", keys={"x": float})\n')
    with pytest.raises(DefinitionError) as error:
        load(tmp_path, "features.py")
    assert len(error.value.problems) == 2


@pytest.mark.parametrize(
    ("definitions", "there"),
    [
        ("features.py", True),
        ("folder", True),
        ("folder.features", True),
        ("other.py", False),
        ("gnomon_test_nowhere", False),
        ("gnomon_test_nowhere.features", False),
    ],
)
def test_whether_there_are_definitions_is_told_without_running_them(tmp_path, definitions, there):
    (tmp_path / "folder").mkdir()
    for name in ("features.py", "folder/features.py"):
        (tmp_path / name).write_text("1 / 0")
    assert has_definitions(Config(tmp_path, definitions=definitions)) is there
