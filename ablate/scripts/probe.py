"""What a script's own parser says: the script is executed in a process of its own until it parses its arguments.

Only where somebody asks for it: whatever a script does before that, it does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from ablate.errors import AblateError
from ablate.scripts.script import Option, Script

SECONDS = 60.0
"""How long a script may take to its parser, its imports included."""

_CHILD = """
import argparse, json, os, runpy, sys

out, script = sys.argv[1:]
real = argparse.ArgumentParser.parse_known_args
told = {}

def note(parser):
    for action in parser._actions:
        if isinstance(action, (argparse._HelpAction, argparse._VersionAction, argparse._SubParsersAction)):
            continue
        names = list(action.option_strings)
        flag = action.nargs == 0
        boolean = isinstance(action, argparse.BooleanOptionalAction)
        kind = "position" if not names else "no" if boolean else "count" if isinstance(action, argparse._CountAction) \\
            else "flag" if flag else "repeat" if type(action) is argparse._AppendAction else "value"
        off = [name for name in names if name.startswith("--no-")] if boolean else []
        names = [name for name in names if name not in off]
        typed = next((name for name in names if name.startswith("--")), names[0] if names else action.dest)
        default = action.default
        if isinstance(default, str) and default is not argparse.SUPPRESS:
            try:
                default = parser._get_value(action, default)
            except Exception:
                pass
        default = action.default is not None and default == action.const if kind == "flag" else default
        try:
            default, computed = json.loads(json.dumps(default)), ""
        except (TypeError, ValueError):
            default, computed = None, repr(default)
        types = {int: "int", float: "float", str: "text", None: "text", bool: "truthy"}
        told[typed] = dict(
            name=typed.lstrip("-"), typed=typed, kind=kind, default=default, computed=computed,
            type="bool" if flag else types[action.type] if action.type in list(types) else "",
            choices=[c for c in action.choices or () if isinstance(c, (str, int, float))],
            nargs=None if flag else action.nargs, required=bool(action.required),
            help=" ".join((action.help or "").replace("%%", "%").split()), negation=off[0] if off else "",
            aliases=[name for name in names if name != typed],
        )

def every(self, *args, **kwargs):
    note(self)
    with open(out, "w") as file:
        json.dump(list(told.values()), file)
    os._exit(0)

def some(self, args=None, namespace=None):
    note(self)
    return real(self, [], namespace)

argparse.ArgumentParser.parse_args = argparse.ArgumentParser.parse_intermixed_args = every
argparse.ArgumentParser.parse_known_args = some
sys.argv = [script]
sys.path.insert(0, os.path.dirname(os.path.abspath(script)))
try:
    runpy.run_path(script, run_name="__main__")
finally:
    with open(out, "w") as file:
        json.dump(list(told.values()), file)
"""


def probed(script: Script) -> Script:
    """The script with the options of its argparse parser. AblateError where it comes to none."""
    with tempfile.TemporaryDirectory(prefix="ablate-probe-") as folder:
        out = Path(folder) / "options.json"
        command = [sys.executable, "-c", _CHILD, str(out), script.path]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise AblateError(f"{script.path} came to no parser within {SECONDS:.0f} s.") from None
        rows = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else []
    if not rows:
        last = (done.stderr.strip().splitlines() or ["it parses no arguments with argparse"])[-1]
        raise AblateError(f"{script.path} was executed and came to no parser of argparse: {last}")
    options = [Option(**{**row, "choices": tuple(row["choices"]), "aliases": tuple(row["aliases"])}) for row in rows]
    places = [option for option in options if option.kind == "position"]
    options = [replace(o, place=places.index(o)) if o in places else o for o in options]
    return replace(script, style=script.style or "argparse", options=tuple(options), unread=())
