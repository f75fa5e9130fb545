# mypy: ignore-errors
"""What is loaded into every Python that a command starts, before its own code: standard library only, Python 3.8 on.

A copy of this file, called sitecustomize.py, lies first on PYTHONPATH; the one that was there is executed, too. It
notes which files below the project are opened and which files are written, hears what W&B is told, and, where a study
asks for it, moves the seeds that a script fixes and replaces constants at its top level. Called as a program it
executes a script with such constants. Nothing here imports ablate, and no failure in it may stop the program.
"""

import contextlib
import json
import os
import sys

SETTINGS = "ABLATE_PRELOAD"
"""The variable that holds, as JSON: trace (a file to append to), project and folder (the study's, the run's), token,
writers (a folder that runs share), constants, script, seed."""

_SEEDS = 2**32
_STRIDE = 1_000_003


def _settings():
    try:
        return json.loads(os.environ.get(SETTINGS, ""))
    except ValueError:
        return None


def append(path, line):
    """One line, whole even where several processes write."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o644)
    try:
        os.write(descriptor, (json.dumps(line) + "\n").encode("utf-8", "backslashreplace"))
    finally:
        os.close(descriptor)


def writers_file(folder: str, path: str) -> str:
    """Where runs say that they write a file outside their own folders."""
    import zlib

    name = path.encode("utf-8", "surrogateescape")
    return os.path.join(folder, f"{zlib.crc32(name):08x}{zlib.adler32(name):08x}{len(name):x}")


class _Trace:
    """Notes files as they are opened, each once."""

    def __init__(self, settings):
        self.settings, self.busy = settings, False
        self.seen = {(os.path.abspath(__file__), False)}  # it is what executes a script whose constants are replaced
        self.project = settings["project"].rstrip(os.sep) + os.sep
        self.folder = settings["folder"].rstrip(os.sep) + os.sep

    def __call__(self, event, arguments):
        if event not in ("open", "os.rename", "sqlite3.connect") or self.busy:
            return
        self.busy = True
        try:
            self.note(event, arguments)
        except Exception:
            pass
        finally:
            self.busy = False

    def note(self, event, arguments):
        path, written, keeps = arguments[0], True, event != "os.rename"
        if event == "os.rename":
            path = arguments[1]
        elif event == "open":
            mode, flags = arguments[1], arguments[2]
            by_mode = isinstance(mode, str) and any(letter in mode for letter in "wax+")
            written = by_mode or bool((flags or 0) & (os.O_WRONLY | os.O_RDWR))
            keeps = not (flags or 0) & os.O_TRUNC
        if isinstance(path, int) or path in ("", b"", ":memory:"):
            return
        path = os.path.abspath(os.fsdecode(path))
        if (path, written) in self.seen or len(self.seen) > 20000:
            return
        self.seen.add((path, written))
        if written:
            self.written(path, keeps)
        elif path.startswith(self.project) and not path.startswith(self.folder):
            self.read(path)

    def read(self, path):
        if path.endswith(".pyc"):
            above, _, name = path.rpartition("__pycache__" + os.sep)
            path = above + name.split(".", 1)[0] + ".py"
        if "site-packages" not in path and not path.startswith(sys.prefix + os.sep) and os.path.isfile(path):
            append(self.settings["trace"], ["read", path])

    def written(self, path, keeps):
        if path.startswith(("/dev/", "/proc/", "/sys/", self.settings["trace"])) or "__pycache__" in path:
            return
        import time

        try:
            before = os.stat(path).st_size if keeps else 0
        except OSError:
            before = 0
        real = os.path.realpath(path)
        append(self.settings["trace"], ["write", real, before])
        if not real.startswith(self.folder) and self.settings["writers"]:
            line = [self.settings["token"], time.time(), real]
            append(writers_file(self.settings["writers"], real), line)


# ---------------------------------------------------------------------------------------------- imports, as they come


class _After:
    """Calls a function with a module once it was imported."""

    def __init__(self, calls):
        self.calls, self.inside = calls, False

    def find_spec(self, name, *_):
        if name not in self.calls or self.inside:
            return None
        import importlib.util

        self.inside = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.inside = False
        if spec is None or spec.loader is None or not hasattr(spec.loader, "exec_module"):
            return None
        execute, call = spec.loader.exec_module, self.calls[name]

        def executed(module):
            execute(module)
            with contextlib.suppress(Exception):
                call(module)

        try:
            spec.loader.exec_module = executed
        except AttributeError:
            return None
        return spec


def _hear_wandb(module):
    log = module.Run.log

    def heard(self, data=None, step=None, *more, **named):
        try:
            at = self.step if step is None else step
            append(os.environ["ABLATE_METRICS"], {**_numbers(data, ""), "_step": at})
        except Exception:
            pass
        return log(self, data, step, *more, **named)

    module.Run.log = heard


def _numbers(data, above):
    found = {}
    for name, value in (data or {}).items():
        if isinstance(value, dict):
            found.update(_numbers(value, f"{above}{name}."))
        elif not isinstance(value, (bool, str, bytes)) and hasattr(value, "__float__"):
            found[f"{above}{name}"] = float(value)
    return found


# ------------------------------------------------------------------------------------------------------------- the seed


def _inject(seed):
    """What a script passes to a generator of its own as its seed is moved by a number that the run's seed decides."""
    far = seed * _STRIDE

    def moved(function, name="seed"):
        def seeded(*given, **named):
            if given and isinstance(given[0], int) and not isinstance(given[0], bool):
                given = ((given[0] + far) % _SEEDS, *given[1:])
            elif isinstance(named.get(name), int):
                named[name] = (named[name] + far) % _SEEDS
            return function(*given, **named)

        seeded.__wrapped__ = function
        return seeded

    def of_numpy(module):
        module.seed = moved(module.seed)
        module.default_rng = moved(module.default_rng)
        legacy = module.RandomState

        class RandomState(legacy):
            def __init__(self, seed=None):
                super().__init__((seed + far) % _SEEDS if isinstance(seed, int) else seed)

        module.RandomState = RandomState

    def of_torch(module):
        module.manual_seed = moved(module.manual_seed)

    import random

    random.seed = moved(random.seed, "a")
    return {"numpy.random": of_numpy, "torch": of_torch}


# ------------------------------------------------------------------------------------------------------------ constants


def constants_of(path, constants):
    """A script's code with the constants at its top level replaced, its line numbers kept."""
    import ast

    with open(path, "rb") as file:
        tree = ast.parse(file.read(), filename=path)
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            continue
        names = [target.id for target in targets if isinstance(target, ast.Name) and target.id in constants]
        if names:
            value = constants[names[0]]
            if isinstance(node.value, ast.Tuple) and isinstance(value, list):
                value = tuple(value)
            replaced = ast.parse(repr(value), mode="eval").body
            for part in ast.walk(replaced):
                ast.copy_location(part, node.value)
            node.value = replaced
    return compile(tree, path, "exec", dont_inherit=True)


def _replace_constants(settings):
    """Also in processes that the script starts by spawning: they execute its file once more, by runpy."""
    import runpy

    original, script = runpy._get_code_from_file, os.path.realpath(settings["script"])

    def code_of(*given):
        found = original(*given)
        if os.path.realpath(os.fsdecode(given[-1])) != script:
            return found
        code = constants_of(script, settings["constants"])
        return (code, *found[1:]) if isinstance(found, tuple) else code

    runpy._get_code_from_file = code_of


# -------------------------------------------------------------------------------------------------------------- loading


def _load(settings):
    calls = {"wandb.sdk.wandb_run": _hear_wandb}
    if settings.get("seed"):
        calls.update(_inject(settings["seed"]))
    sys.meta_path.insert(0, _After(calls))
    if settings.get("constants"):
        _replace_constants(settings)
    if settings.get("trace"):
        sys.addaudithook(_Trace(settings))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)
    _describe(settings)


def _describe(settings):
    """The interpreter and the names of what is installed, once a run."""
    if not settings.get("trace"):
        return
    try:
        descriptor = os.open(settings["trace"] + ".python", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except OSError:
        return
    installed = set()
    for folder in sys.path:
        if folder.endswith(("site-packages", "dist-packages")) and os.path.isdir(folder):
            installed.update(name for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info")))
    told = {"python": sys.version.split()[0], "executable": sys.executable, "packages": sorted(installed)}
    os.write(descriptor, json.dumps(told).encode())
    os.close(descriptor)


def _chain():
    """The sitecustomize that would have been loaded without this one."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    mine = os.path.dirname(os.path.abspath(__file__))
    spec = PathFinder.find_spec("sitecustomize", [folder for folder in sys.path if os.path.abspath(folder) != mine])
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(module_from_spec(spec))


def _execute():
    """`python preload.py SCRIPT ...`: the script as `__main__`, with its constants replaced."""
    import __main__

    settings = _settings()
    del sys.argv[0]
    path = os.path.abspath(sys.argv[0])
    sys.path[0] = os.path.dirname(path)
    code = constants_of(path, settings["constants"])
    space = vars(__main__)
    for name in [name for name in space if not name.startswith("__")]:
        del space[name]
    space.update({"__file__": path, "__doc__": None})
    exec(code, space)


if __name__ == "sitecustomize":
    _told = _settings()
    if _told is not None:
        try:
            _load(_told)
        except Exception as _error:
            print("ablate: the preload failed:", _error, file=sys.stderr)
    _chain()
elif __name__ == "__main__":
    _execute()
