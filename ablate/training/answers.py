"""A process of its own that has imported a function of the user's and answers questions about it, a line each.

The plan imports nothing of the user's; what only the code can say, it asks here (configured.py, handing.py).
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ablate.errors import AblateError
from ablate.records import Json

_HOME = str(Path(__file__).resolve().parents[2])
_BEGIN = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); import ablate; del sys.path[0]; "
    "from ablate.training.{} import main; main()"
)


class EndedError(AblateError):
    """The process ended instead of answering. late: it had a limit, and that was over."""

    def __init__(self, code: int) -> None:
        self.late = code == -signal.SIGALRM
        super().__init__(f"the process that tried ended with {_name(code)}")


def _name(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


class Answers:
    """The process. One that has ended gives every question the same error: it would end again."""

    def __init__(self, home: str, arguments: Sequence[str]) -> None:
        # Not in the terminal's group, and without a word on its standard output, for that carries the answers.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _BEGIN.format(home), _HOME, *arguments], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, start_new_session=True, env={"PYTHONHASHSEED": "0", **os.environ},
        )  # fmt: skip
        self._known: dict[str, Json] = {}

    def ask(self, question: Json) -> Json:
        """The answer; of a question that was asked before, the same without asking. EndedError."""
        text = json.dumps(question)
        if text not in self._known:
            self._known[text] = self._asked(text)
        return self._known[text]

    def _asked(self, text: str) -> Json:
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answers is not None
        try:
            print(text, file=asked, flush=True)
            return json.loads(answers.readline())
        except (OSError, ValueError):
            raise EndedError(self._end()) from None

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._end()

    def _end(self) -> int:
        """How it ended, with what the user's code started there. Not twice: its number may be another's by then."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()


_kept: dict[tuple[str, ...], tuple[Mapping[str, str], Answers]] = {}


def answers(home: str, arguments: Sequence[str], sources: Mapping[str, str]) -> Answers:
    """The process of a function as its sources are now: one is kept, for whoever plans asks again and again.

    home: the module of ablate.training whose `main` it executes. arguments: module, function, and what `main` wants.
    """
    name = (home, *arguments)
    if name in _kept and _kept[name][0] != sources:
        _kept.pop(name)[1].close()
    if not _kept:
        atexit.register(close)
    if name not in _kept:
        _kept[name] = (dict(sources), Answers(home, arguments))
    return _kept[name][1]


def close() -> None:
    """End every process that is kept."""
    while _kept:
        _kept.popitem()[1][1].close()


def serve(answer: Callable[[Json], Json]) -> None:
    """What such a process does: a question a line in, its answer a line out."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the user's code prints is none of the answers
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=channel, flush=True)
