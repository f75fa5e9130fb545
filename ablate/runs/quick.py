"""`ablate quick`: a command as it is typed becomes a study that leaves each of its options out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ablate.errors import AblateError, ConfigError, NoDatabaseError, StudyError
from ablate.programs.commanded import Command
from ablate.programs.program import Program
from ablate.runs import execute
from ablate.runs.planned import Planned, find
from ablate.runs.progress import Watcher
from ablate.runs.recapture import besides, numbers, read_again, recapture
from ablate.scripts.script import Script
from ablate.scripts.style import read
from ablate.store.store import Store
from ablate.study import draft
from ablate.study.candidates import Part, parts, split

NO_METRIC = "unknown"
"""What the study calls its metric before anybody has named one."""


@dataclass(frozen=True)
class Typed:
    """A command line, taken apart. at: which of its words is the script."""

    words: tuple[str, ...]
    at: int
    script: Script
    parts: tuple[Part, ...]

    @property
    def tricks(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.trick)

    @property
    def kept(self) -> tuple[str, ...]:
        """The command without its tricks, and without what every run gets its own of."""
        own = (self.script.seed, self.script.output)
        stay = [part.given for part in self.parts if not part.trick]
        left = [given for given in stay if given.option is None or given.option not in own]
        return (*self.words[: self.at + 1], *(word for given in left for word in given.words))


def taken_apart(words: Sequence[str], tricks: Sequence[str], keep: Sequence[str]) -> Typed:
    """What of a command is a trick. AblateError where it calls no script of Python, or has no trick."""
    program = Program(tuple(words), Path(), Path(), Path(sys.executable))
    if not words:
        raise AblateError("there is no command; write it after --, as in ablate quick -- python train.py --mixup 0.2.")
    try:
        program.check()
    except ConfigError as error:
        raise AblateError("; ".join(message for _, message in error.problems)) from None
    if program.script is None or program.script_at is None or program.script.suffix != ".py":
        raise AblateError(f"{' '.join(words)} calls no script of Python, whose options could be read; write a study.")
    arguments = words[program.script_at + 1 :]
    script = read(program.script, [Path.cwd()]).within(arguments)
    given = split(arguments, script)
    typed = Typed(tuple(words), program.script_at, script, tuple(parts(given, script, tricks, keep)))
    if not typed.tricks:
        why = "\n".join(f"  {part.words}: {part.why}" for part in typed.parts)
        raise AblateError(f"no option of the command is a trick, so that there is nothing to leave out.\n{why}")
    return typed


def write(typed: Typed, file: Path, metric: str, better: str, seeds: int, seed: str) -> None:
    """The study of a command. AblateError where a file of that name is somebody's own."""
    if file.exists() and not file.read_text(encoding="utf-8", errors="replace").startswith(draft.WRITTEN_BY_QUICK):
        raise AblateError(f"{file} exists already and is not quick's; name another with --output.")
    about = draft.Draft(typed.kept, typed.script, metric or NO_METRIC, seeds, seed, better)
    file.write_text(draft.quick(about, typed.parts), encoding="utf-8")


def planned(typed: Typed, file: Path, db: str) -> Planned:
    """The study that was written. AblateError where no seed reaches the script, in this command's words."""
    try:
        return find(str(file), db)
    except StudyError as error:
        if all(problem.path != "task.seed" for problem in error.problems):
            raise
        raise AblateError(
            f"no option of {Path(typed.script.path).name} is called as seeds are; name it with --seed OPTION, or say "
            "--seed inject for a script that fixes its own seed, --seed none where one run of a variant is meant.",
            page="own-code",
        ) from None


def take_up(planned: Planned, db: str) -> str:
    """Read what earlier runs left, which were executed before anybody had named the metric; which of them lack it, and
    why. Empty where none does."""
    with suppress(NoDatabaseError):
        told = recapture(planned, db)
        return told.text if told.without else ""
    return ""


def once(planned: Planned, db: str, watcher: Watcher) -> str:
    """Execute the command as it was typed, once, and list the numbers that it left. It counts."""
    task = planned.task
    assert isinstance(task, Command)
    run = planned.plan.runs[0]
    execute.execute(planned, db, execute.Options(workers=1, only=(run.key,)), watcher)
    with Store.open(db) as store:
        attempt = store.attempts(run.key)[-1]
    if not attempt.counted and attempt.reason != "bad_result":
        told = f"`ablate show {run.key[:8]} --log` has its output."
        raise AblateError(f"the command failed: {attempt.reason}: {attempt.message}. {told}")
    folder = Path(attempt.log)
    again = read_again(planned, folder, task.wanted(()))
    return "\n".join(numbers(again, besides(again, folder)))
