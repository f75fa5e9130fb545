"""The command as a person calls it, without the 0.6 CPU s of imports that each of some hundred calls would pay.

A process that has imported what the commands import, and has done nothing else, is forked for each call: the call is a
process of its own, with its folder, environment, arguments, output and end. What runs a study's task is started by the
command as a program of its own, as always. A test about starting, importing or killing starts Python itself.
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import socket
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, NoReturn

IMPORTED = (
    "ablate.terminal.cli ablate.runs.execute ablate.runs.planned ablate.runs.progress ablate.analysis.results "
    "ablate.tables.views ablate.reports.report ablate.terminal.printed sqlalchemy.dialects.sqlite scipy.stats pandas"
)


def ablate(folder: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """`ablate WORDS` in `folder`, with `environment` beside this process's own."""
    told = [str(word) for word in words]
    if any(name.startswith("PYTHON") for name in environment):  # what Python reads as it starts
        return subprocess.run(
            [sys.executable, "-m", "ablate", *told],
            cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True,
        )  # fmt: skip
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        request = {"folder": str(folder), "words": told, "environment": {**os.environ, **environment}}
        code = _asked(request, (out.fileno(), err.fileno()))
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(["ablate", *told], code, out.read(), err.read())


def _asked(request: dict[str, Any], files: tuple[int, int]) -> int:
    channel = _server()
    socket.send_fds(channel, [json.dumps(request).encode() + b"\n"], files)
    return int(channel.makefile().readline())


@functools.cache
def _server() -> socket.socket:
    """One for each process of the tests; it ends with the process, whose end of the socket closes."""
    ours, its = socket.socketpair()
    code = "import sys; sys.path.insert(0, sys.argv[1]); import called; called.serve(int(sys.argv[2]))"
    words = [sys.executable, "-P", "-c", code, str(Path(__file__).parent), str(its.fileno())]
    process = subprocess.Popen(words, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL)
    its.close()
    atexit.register(lambda: (ours.close(), process.wait()))
    return ours


def serve(descriptor: int) -> None:
    """Fork a process for each request and tell its exit code, until the other end closes."""
    for name in IMPORTED.split():
        __import__(name)
    gc.freeze()  # a collection in a child would copy the pages of all that was imported
    channel = socket.socket(fileno=descriptor)
    while True:
        text, files, _, _ = socket.recv_fds(channel, 1 << 20, 2)
        while text and not text.endswith(b"\n"):
            text += channel.recv(1 << 20)
        if not text:
            return
        child = os.fork()
        if child == 0:
            channel.close()
            _call(json.loads(text), files)
        for file in files:
            os.close(file)
        _, status = os.waitpid(child, 0)
        channel.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _call(request: dict[str, Any], files: list[int]) -> NoReturn:
    from ablate.terminal import cli

    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for number, file in zip((1, 2), files, strict=True):
        os.dup2(file, number)
        os.close(file)
    sys.path[0] = request["folder"]  # as `python -m` puts it there
    sys.argv[:] = ["ablate", *request["words"]]
    try:
        cli.main(request["words"])
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)  # taking the interpreter down would cost as much again as the call
