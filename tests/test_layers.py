"""The layout, held against the imports: a module imports only from rows above its own, or from its left in the row."""

import ast
from pathlib import Path

import pytest

import ablate

ROOT = Path(ablate.__file__).parent
ROWS = [
    "__init__ _version errors wording records identity rng unpickle",
    "registry design model datafile dataset recipe trick task executor table grid figure document",
    "yaml_file form tune_form study_form study_reader study check search pruning starts rows plan feed packer scheduler drift blocks comparisons power looks analysis adaptive effects tuned registration noise notes claims described methods papers prose reproduce",
    "schema stored store layers transfer trainer devices checkpoint",
    "worker warm dispatcher results exported standing factorials views plots interactive typeset paper importer seeds lineage planner runner weights reuse submission bundle why verify view live budget doctor report tune searching tuning applying figure_checks testing terminal skeletons cli",
    "__main__",
]
PLACE = {name: (row, column) for row, names in enumerate(ROWS) for column, name in enumerate(names.split())}
EDGES = {*ROWS[3].split(), "warm"}
FOLDERS = ("commands", "reports")
"""Parts of the composition that are many of a kind, a file each. cli finds the commands; a report's format is found by
its name. No module of the spine imports one."""
SHELVES = ("designs", "tricks", "models", "datasets", "tasks", "executors", "tables", "figures")
OWNERS = {
    "sqlalchemy": {"schema", "stored", "store"},
    "optuna": {"tune"},
    "plotly": {"interactive"},
    "matplotlib": {"typeset", "paper", "figure_checks"},
    "typst": {"reports"},
    "markdown_it": {"prose"},
    "torch": {
        "trainer",
        "checkpoint",
        "transfer",
        "layers",
        "tricks",
        "models",
        "datasets",
        "tasks",
        "trick",
        "model",
        "recipe",
        "testing",
    },
    "pandas": {"results", "table", "tables"},
    "ruamel": {"yaml_file"},
    "PIL": {"datasets"},
}


def imports(path):
    """(module, only for type checking) of every import in a file, wherever it stands."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in typing_only) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "ablate" else [node.module]
            )
            yield from ((name, id(node) in typing_only) for name in names)


SPINE = sorted(path for path in ROOT.glob("*.py"))
FOLDER_FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.py") if path.stem != "__init__")
SHELF_FILES = sorted(path for shelf in SHELVES for path in (ROOT / shelf).glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("path", SPINE, ids=lambda path: path.stem)
def test_a_module_imports_only_from_rows_above_or_from_its_left(path):
    row, column = PLACE[path.stem]
    for name, typing_only in imports(path):
        if name.startswith("ablate.") and not typing_only:
            other = name.split(".")[1]
            if other in (*SHELVES, *FOLDERS):
                assert (path.stem, other) == ("runner", "executors"), f"{path.stem} imports {name}"
            else:
                there, left = PLACE[other]
                assert there < row or (there == row and left < column), f"{path.stem} imports {name}"


@pytest.mark.parametrize("path", FOLDER_FILES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_a_command_or_a_reports_format_imports_the_spine_and_no_shelf_file(path):
    for name, typing_only in imports(path):
        if name.startswith("ablate.") and not typing_only:
            other = name.split(".")[1]
            assert other not in SHELVES, f"{path} imports {name}"
            assert other == path.parent.name or other in PLACE, f"{path} imports {name}"
            assert other != "cli", f"{path} imports {name}"


@pytest.mark.parametrize("path", SHELF_FILES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_a_shelf_file_imports_words_contracts_and_edges_and_never_another_shelf(path):
    for name, typing_only in imports(path):
        if name.startswith("ablate.") and not typing_only:
            other = name.split(".")[1]
            assert other not in SHELVES, f"{path} imports {name}"
            assert PLACE[other][0] < 2 or other in EDGES, f"{path} imports {name}"


@pytest.mark.parametrize("path", [*SPINE, *FOLDER_FILES, *SHELF_FILES], ids=lambda path: path.stem)
def test_a_library_is_imported_by_its_owners_only(path):
    me = path.parent.name if path.parent != ROOT else path.stem
    for name, typing_only in imports(path):
        owners = OWNERS.get(name.split(".")[0])
        assert owners is None or typing_only or me in owners, f"{path} imports {name}"


def test_init_files_reexport_nothing():
    for path in ROOT.rglob("__init__.py"):
        assert not list(imports(path)), path


def test_no_file_stands_outside_the_layout():
    assert {path.stem for path in SPINE} <= set(PLACE)
    assert {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"} == {
        *SHELVES,
        *FOLDERS,
    }
