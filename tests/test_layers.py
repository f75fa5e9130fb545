"""The house, held against the imports: words, rooms in one order, files of a room in one order, shelves behind names."""

import ast
from pathlib import Path

import pytest

import ablate

ROOT = Path(ablate.__file__).parent
DOORS = ("plugins", "surgery")
"""The files at the root that are no words: they hand names of the rooms to private plug-ins and to loops of others;
nobody here imports them."""
WORDS = "text errors identity rng records installed registry"
ROOMS = {
    "scripts": "sources script variables values operations evaluator expressions slices modules interpreter defaults fields style probe",
    "programs": "template rendering program binding arithmetic capture printed wanted examples preload attribution launch capturing commanded",
    "training": "examples task called answers configured model dataset unpickle datafile started provenance layers transfer stopping schedules rates recipe trick replacement initial parts trace rule widths narrow standins cuts statistics sizes trying surgery removal handed handing taking completing trainer checkpoint",
    "study": "yaml_file candidates draft recipes values sections form basics structure reference cells record design findings tricks lookup file mistakes search rows controls depth changes keyed plan across",
    "store": "schema migrate stored costs examples opened unasked studies cells reader planner attempts store extract copying",
    "pool": "messages words executor feed host energy groups ending folders signals patience scheduler backoff alike leases pace seeding reasons returned worker warm mailbox pilot mailed books vacancy known claims dispatcher",
    "analysis": "comparisons assumptions sign_flip shrunken components across scores examples judge power looks measured verdicts joined settings bases inert lenth crossed factorial tuned reruns classes arrays results",
    "runs": "csv_file columns factors measured importer example_files export exporter adaptive lineage executed planned handin packed winners rates progress moment spent weights submission budget heeded canary saving execute examples afterwards verify retrained recapture trial quick logs stopping why garbage doctor",
    "tuning": "pruning journal underway hunt tune",
    "tables": "table adaptive stages grid forest cautions beyond missing notes factorials classes settings overall configurations cost between views",
    "figures": "scene figure placing intervals pixels screen glyphs paper inline files rates said source",
    "reports": "formula equations document widths rows printed layouts setter author claims methods variants appendix words settings material opening report cited checked grounds setup assets checklist anonymous evidence",
    "testing": "figures training planning suite skeletons executors",
    "terminal": "options bars columns drawn printed manual moments trials live cli",
    "python": "called origins written asked frames shown watched results api",
}
"""Every room in order, and its files in the order in which they are read: a file imports only what stands before it."""
SHELVES = {
    "scripts": ("styles",),
    "programs": ("captures",),
    "training": ("tasks", "tricks", "models", "datasets", "replacements"),
    "study": ("designs",),
    "store": ("migrations",),
    "pool": ("executors",),
    "runs": ("exporters",),
    "tables": ("formats",),
    "figures": ("kinds",),
    "reports": ("formats",),
    "terminal": ("commands",),
}

OWNERS = {
    "sqlalchemy": {"store"},
    "alembic": {"store.migrate", "store.migrations"},
    "optuna": {"tuning.journal"},
    "plotly": {"figures.screen"},
    "matplotlib": {"figures.glyphs", "figures.paper", "testing.figures"},
    "typst": {"reports.setter"},
    "ray": {"pool.executors.ray"},
    "markdown_it": {"reports.author"},
    "torch": {"training", "testing"},
    "pandas": {"analysis.results", "tables.table", "tables.formats", "python"},
    "IPython": {"python.watched"},
    "ruamel": {"study.yaml_file", "scripts.styles.hydra"},
    "PIL": {"training.datasets"},
}
"""Outside libraries that only some files or rooms import."""
FILES = sorted(
    path for path in ROOT.rglob("*.py") if path.stem != "__init__" and not path.is_relative_to(ROOT / "recipes")
)
"""Recipes are users' programs, to be copied; nobody imports them."""
NAMES = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES}


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imports(path):
    """Every module that a file imports, wherever the import stands and whatever it is for."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole.removeprefix("ablate.") in NAMES else node.module


def ours(path):
    return {name.removeprefix("ablate.") for name in imports(path) if name.startswith("ablate.")}


def place(name):
    """Where a file stands: (room, is it on a shelf, place in the room). Words stand before every room, the doors after."""
    room, *rest = name.split(".")
    if name in DOORS:
        return (len(ROOMS), 0, 0)
    if not rest:
        return (-1, 0, WORDS.split().index(name)) if name in WORDS.split() else (-2, 0, 0)
    rooms = list(ROOMS)
    return (rooms.index(room), 1, 0) if len(rest) == 2 else (rooms.index(room), 0, ROOMS[room].split().index(rest[0]))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_imports_only_what_stands_before_it_and_nobody_imports_a_shelf(path):
    me = name_of(path)
    for other in ours(path) - {"_version"}:
        if me == "__main__":
            continue
        assert other.count(".") < 2, f"{me} imports {other}, a shelf's file: its name is its registration"
        assert place(other) < place(me), f"{me} imports {other}, which stands after it"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_library_is_imported_by_its_owners_only(path):
    me = name_of(path)
    for name in imports(path):
        owners = OWNERS.get(name.split(".")[0])
        assert owners is None or any(me == owner or me.startswith(f"{owner}.") for owner in owners), (me, name)


def test_a_door_plate_is_a_docstring_and_nothing_else():
    for path in ROOT.rglob("__init__.py"):
        if path.parent != ROOT:  # whose calls are held by tests/python/test_import.py: it loads nothing
            assert [type(node) for node in ast.parse(path.read_text()).body] == [ast.Expr], path


def test_no_file_stands_outside_the_house():
    assert {path.stem for path in ROOT.glob("*.py")} == {*WORDS.split(), *DOORS, "__init__", "__main__", "_version"}
    assert {path.name for path in ROOT.iterdir() if path.is_dir()} - {"__pycache__"} == {*ROOMS, "manual", "recipes"}
    assert {path.suffix for path in (ROOT / "manual").iterdir()} == {".md"}
    others = {path.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / room).rglob("*.*")}
    pages = {f"reports/page.{ending}" for ending in ("css", "js", "typ")}
    assert {name for name in others if not name.endswith((".py", ".pyc"))} == pages
    for room, files in ROOMS.items():
        assert {path.stem for path in (ROOT / room).glob("*.py")} == {*files.split(), "__init__"}
        folders = {path.name for path in (ROOT / room).iterdir() if path.is_dir()} - {"__pycache__"}
        assert folders == set(SHELVES.get(room, ()))
