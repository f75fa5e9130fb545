"""ablate: which of your tricks earn their place, and how sure are we?

The house, in one order. A file beside this one is a word: everybody may import it, and it imports only other words.
A folder is a room, and a room imports only rooms named before it:

    scripts    what a program of the user's says, read and never executed
    programs   any program as a task: what it is given, what it leaves
    training   what happens inside a run: a task executes one configuration
    study      what is asked: a file becomes a Study, a Study becomes a Plan
    store      what is kept: plans, runs, attempts, leases in one database
    pool       who executes: a dispatcher, an executor, one child process a run
    analysis   what it means: numbers, intervals, verdicts
    runs       a study's runs: found, executed, looked after, brought in, handed out
    tuning     a search as ordinary runs
    tables     shown: the table and its sentences
    figures    shown: on screen and on paper
    reports    shown: a document
    testing    held to it: the conformance suite of plug-ins
    terminal   typed: the command line
    python     called: a study from a script or a notebook

A room holds its contract (`training/trick.py`) and its shelf (`training/tricks/`, a file each; nobody imports one, its
name is its registration). An `__init__.py` is a door plate: a docstring and no import. Inside a room the files stand
in an order too; `tests/test_layers.py` lists it, and a room is read from left to right.

    study.file -> Study -> study.plan -> Plan -> store.add -> DATABASE
    DATABASE -> pool.scheduler.decide -> pool.dispatcher -> pool.executors -> one child a run -> training -> DATABASE
    DATABASE -> analysis.results -> analysis.verdicts -> tables | figures | reports -> terminal | python

From Python: `ablate.study(...)`, `ablate.load(file)`, `ablate.open(database)` (`ablate help python`), and `ablate.log`,
which a training script calls. A name is fetched when it is asked for: `import ablate` loads nothing.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers; at run time it is __getattr__ that answers
    from ablate.python.api import load as load
    from ablate.python.api import open as open
    from ablate.python.api import study as study


def log(step: "int | None" = None, **values: float) -> None:
    """Report numbers from a training script: `ablate.log(step=3, accuracy=0.9)`. Outside a run it does nothing.

    A step that is left out is the next one. Called from any process of a command's run; costs no import.
    """
    import builtins
    import os

    file = os.environ.get("ABLATE_METRICS")
    if file and values:
        import json

        line = {**({} if step is None else {"step": int(step)}), **{name: float(v) for name, v in values.items()}}
        with builtins.open(file, "a", encoding="utf-8") as opened:
            opened.write(json.dumps(line) + "\n")


def __getattr__(name: str) -> Any:
    if name not in ("load", "open"):
        raise AttributeError(f"module 'ablate' has no attribute {name!r}")
    from ablate.python import api

    return getattr(api, name)


class _Room(ModuleType):
    """The room `study`, which bears the name of a call: `ablate.study` is both."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        from ablate.python.api import study

        return study(*arguments, **named)

    @property
    def __signature__(self) -> Any:
        import inspect

        from ablate.python.api import study

        return inspect.signature(study)


if not TYPE_CHECKING:
    from ablate import study as study  # a docstring, and from now on a call

    sys.modules["ablate.study"].__class__ = _Room
