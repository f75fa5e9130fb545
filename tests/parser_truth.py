"""What argparse itself says of a program: `python parser_truth.py FOLDER PROGRAM...` prints a JSON line for each.

Each program is executed in a process of its own until it parses its arguments; its parser is then asked what it takes.
One that is no script of its own is imported, and its functions that make a parser are called, with stand-ins for their
arguments and for modules that are not installed. FOLDER: where the modules' names start.
"""

import argparse
import ast
import contextlib
import importlib
import importlib.abc
import importlib.machinery
import json
import math
import os
import resource
import runpy
import signal
import sys
from functools import partial
from pathlib import Path
from unittest import mock

SECONDS = 20


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules that are not installed."""

    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        module = mock.MagicMock(name=spec.name)
        module.__path__ = []
        module.__spec__ = spec
        return module

    def exec_module(self, module):
        pass


class Parsed(BaseException):
    """The program parses its arguments: enough of it was executed."""


def plain(value):
    """(is it what JSON holds, the value)."""
    if value is argparse.SUPPRESS:
        return True, None
    if isinstance(value, Path):
        return True, str(value)
    if isinstance(value, (list, tuple, range)):
        items = [plain(item) for item in value]
        return all(ok for ok, _ in items), [item for _, item in items]
    if isinstance(value, (set, frozenset)):
        return plain(sorted(value, key=str))
    if isinstance(value, dict):
        return all(isinstance(k, str) and plain(v)[0] for k, v in value.items()), repr(value)
    if isinstance(value, float) and not math.isfinite(value):
        return False, repr(value)
    ok = value is None or type(value) in (bool, int, float, str)
    return ok, value if ok else repr(value)


def described(parser, command=()):
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from described(below, (*command, name))
        elif not isinstance(action, (argparse._HelpAction, argparse._VersionAction)):
            default = action.default
            if isinstance(default, str) and default is not argparse.SUPPRESS:
                with contextlib.suppress(Exception):
                    default = parser._get_value(action, default)
            known, value = plain(default)
            as_typed = (
                action.default if isinstance(action.default, str) and action.default is not argparse.SUPPRESS else None
            )
            yield {
                "command": command,
                "names": list(action.option_strings) or [action.dest],
                "known": known,
                "default": value,
                "as_typed": as_typed,
                "nargs": None if action.nargs == 0 else action.nargs,
                "flag": action.nargs == 0
                and not isinstance(action, (argparse._CountAction, argparse.BooleanOptionalAction)),
                "given": action.default is not None and action.default == action.const,
                "choices": plain(list(action.choices))[1] if action.choices is not None else [],
            }


def truth(folder, path):
    """The options of every parser that the program asks, up to the first that it asks for all arguments."""
    parsers = []
    real = argparse.ArgumentParser.parse_known_args

    def all_(self, *args, **kwargs):
        parsers.append(self)
        raise Parsed

    def some(self, args=None, namespace=None):
        parsers.append(self)
        try:
            return real(self, [], namespace)
        except SystemExit:
            raise Parsed from None

    argparse.ArgumentParser.parse_args = argparse.ArgumentParser.parse_intermixed_args = all_
    argparse.ArgumentParser.parse_known_args = some
    sys.argv = [str(path)]
    sys.meta_path.append(StandIns())
    name = ".".join(path.relative_to(folder).with_suffix("").parts)
    if "." not in name:
        sys.path.insert(0, str(path.parent))
    text = path.read_text(errors="replace")
    if "__main__" in text or path.name == "__main__.py":
        attempt(lambda: runpy.run_module(name, run_name="__main__", alter_sys=True))
    if not parsers:
        module = attempt(lambda: importlib.import_module(name))
        if module is not None and not isinstance(module, mock.MagicMock):
            asked(module, text, parsers)
    return [option for parser in parsers for option in described(parser)]


def asked(module, text, parsers):
    """Call the functions that make a parser: `main` first."""
    lines = text.splitlines()
    nodes = [n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)]
    nodes = [n for n in nodes if "ArgumentParser(" in "\n".join(lines[n.lineno - 1 : n.end_lineno])]
    for node in sorted(nodes, key=lambda n: n.name != "main"):
        required = len(node.args.args) - len(node.args.defaults)
        stand_ins = [mock.MagicMock() for _ in range(required)]
        returned = attempt(partial(getattr(module, node.name), *stand_ins))
        if isinstance(returned, argparse.ArgumentParser):
            parsers.append(returned)
        if parsers:
            return


def attempt(call):
    try:
        return call()
    except Parsed:
        return None
    except BaseException:
        return None


def main(folder, *paths):
    out = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for path in paths:
        pid = os.fork()
        if pid == 0:
            signal.alarm(SECONDS)
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
            found = truth(Path(folder), Path(path))
            os.write(out, (json.dumps({"path": path, "options": found}) + "\n").encode())
            os._exit(0)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
