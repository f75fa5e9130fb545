"""A process of its own that has imported a function of the user's and answers questions about it, a line each.

The plan imports nothing of the user's; what only the code can say, it asks here (configured.py, handing.py).
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ablate.errors import AblateError
from ablate.records import Json

_HOME = str(Path(__file__).resolve().parents[2])
_LOOK_MS = 200
"""How often a process that does not answer is looked at."""

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
            stdout=subprocess.PIPE, start_new_session=True, env={"PYTHONHASHSEED": "0", **os.environ},
        )  # fmt: skip
        self._known: dict[str, Json] = {}
        self._read = b""

    def ask(self, question: Json) -> Json:
        """The answer; of a question that was asked before, the same without asking. EndedError."""
        text = json.dumps(question)
        if text not in self._known:
            self._known[text] = self._asked(text)
        return self._known[text]

    def _asked(self, text: str) -> Json:
        asked = self._process.stdin
        assert asked is not None
        try:
            asked.write(f"{text}\n".encode())
            asked.flush()
            return json.loads(self._line())
        except (OSError, ValueError):
            raise EndedError(self._end()) from None

    def _line(self) -> bytes:
        """Up to the end of a line, or of the process: what it forked may hold its end of the pipe for longer."""
        answers = self._process.stdout
        assert answers is not None
        poll = select.poll()
        poll.register(answers, select.POLLIN)
        while b"\n" not in self._read:
            if poll.poll(_LOOK_MS):
                more = os.read(answers.fileno(), 1 << 16)
                if not more:
                    break
                self._read += more
            elif self._has_ended():
                break
        line, _, self._read = self._read.partition(b"\n")
        return line

    def _has_ended(self) -> bool:
        # Without taking note of it: its number, which is that of its group, stays its own until _end.
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

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
