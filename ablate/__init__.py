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

A room holds its contract (`training/trick.py`) and its shelf (`training/tricks/`, a file each; nobody imports one, its
name is its registration). An `__init__.py` is a door plate: a docstring and no import. Inside a room the files stand
in an order too; `tests/test_layers.py` lists it, and a room is read from left to right.

    study.file -> Study -> study.plan -> Plan -> store.add -> DATABASE
    DATABASE -> pool.scheduler.decide -> pool.dispatcher -> pool.executors -> one child a run -> training -> DATABASE
    DATABASE -> analysis.results -> analysis.verdicts -> tables | figures | reports -> terminal
"""


def log(step: "int | None" = None, **values: float) -> None:
    """Report numbers from a training script: `ablate.log(step=3, accuracy=0.9)`. Outside a run it does nothing.

    A step that is left out is the next one. Called from any process of a command's run; costs no import.
    """
    import os

    file = os.environ.get("ABLATE_METRICS")
    if file and values:
        import json

        line = {**({} if step is None else {"step": int(step)}), **{name: float(v) for name, v in values.items()}}
        with open(file, "a", encoding="utf-8") as opened:
            opened.write(json.dumps(line) + "\n")
