"""What a child sets before it runs code of the user's: threads, and every generator that such code may draw from.

ablate's own draws come from named streams (rng.py). A function may draw from the global generators of Python, numpy and
torch, and from generators that its modules made when the server imported them. Those were copied into every child by
fork: unseeded ones would draw the same numbers in every run, and no spread over seeds would be seen.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import sys
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from ablate.pool.host import THREADS
from ablate.rng import seed_for

_MAKERS = ("default_rng", "RandomState", "Random")
"""Names whose call without a seed makes a generator that draws anew in every process."""


def set_threads(threads: int) -> None:
    """As many as the study says, for what the server loaded (with one, warm.py) and for what is loaded from now on."""
    os.environ.update(dict.fromkeys(THREADS, str(threads)))
    if threads > 1 and "numpy" in sys.modules:
        import threadpoolctl

        threadpoolctl.threadpool_limits(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def seed_everything(seed: int, threads: int, sources: Collection[str]) -> None:
    """The global generators, now or when their library is imported, and unseeded ones of the user's own modules."""
    random.seed(seed)
    for name in ("numpy", "torch"):
        if name in sys.modules:
            _seed_library(sys.modules[name], seed, threads)
        else:
            sys.meta_path.insert(0, _Late(name, seed, threads))
    for module, path in own_modules(sources):
        _reseed(module, path, seed)


_noted: list[tuple[ModuleType, str]] | None = None


def note_modules(sources: Collection[str]) -> None:
    """Look for the user's modules now, in the process that forks the children: to ask every module for its file in each
    child copies the pages of them all. What a child imports itself comes after its generators were seeded."""
    global _noted
    _noted = None
    _noted = own_modules(sources)


def own_modules(sources: Collection[str]) -> list[tuple[ModuleType, str]]:
    """The modules of the user's that this process has imported, or that were noted, each with its file, one of
    `sources`.

    Only names that occur are resolved: of the 3,000 modules that torch brings each would cost 10 us, in every child.
    """
    if _noted is not None:
        return [(module, path) for module, path in _noted if path in sources]
    names = {os.path.basename(path) for path in sources}
    files = [(module, getattr(module, "__file__", None) or "") for module in list(sys.modules.values())]
    real = [(module, os.path.realpath(file)) for module, file in files if os.path.basename(file) in names]
    return [(module, path) for module, path in real if path in sources]


def _seed_library(module: ModuleType, seed: int, threads: int) -> None:
    library: Any = module
    if library.__name__ == "numpy":
        library.random.seed(seed % 2**32)
    else:
        library.set_num_threads(threads)
        library.manual_seed(seed)


class _Late(importlib.abc.MetaPathFinder):
    """Seeds a library as soon as the task imports it: a function may do that inside itself."""

    def __init__(self, name: str, seed: int, threads: int) -> None:
        self.name, self.seed, self.threads = name, seed, threads

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002  # the import system's own signature
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)  # the others find it, and once is enough
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def executed(module: ModuleType) -> None:
            execute(module)
            _seed_library(module, self.seed, self.threads)

        spec.loader.exec_module = executed  # type: ignore[method-assign]
        return spec


# ------------------------------------------------------------------------------------------------ generators of modules


def _reseed(module: ModuleType, path: str, seed: int) -> None:
    """Give every unseeded generator at the module's top level a stream of the run's own. One that the author seeded
    keeps its state: it starts every run alike, as it would in a process of its own."""
    for name in unseeded_in(path):
        held: Any = module
        for part in name.split("."):
            held = getattr(held, part, None)
        stream = seed_for(seed, "module", module.__name__, name)
        if isinstance(held, random.Random):
            held.seed(stream)
        elif hasattr(held, "bit_generator"):  # numpy's Generator
            held.bit_generator.state = type(held.bit_generator)(stream).state
        elif hasattr(held, "get_state") and hasattr(held, "seed"):  # numpy's RandomState
            held.seed(stream % 2**32)


@cache
def unseeded_in(path: str) -> tuple[str, ...]:
    """The same of a file; the server asks first, so that its children find the answer."""
    return tuple(unseeded(Path(path).read_text(encoding="utf-8", errors="replace")))


def unseeded(source: str) -> Iterator[str]:
    """The dotted names that a module's top level (its classes' bodies, too) binds to an unseeded generator."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return
    yield from _unseeded(tree.body, "")


def _unseeded(body: Sequence[ast.stmt], above: str) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield from _unseeded(statement.body, f"{above}{statement.name}.")
        elif isinstance(statement, ast.If | ast.Try | ast.With):
            yield from _unseeded(statement.body, above)
        elif isinstance(statement, ast.Assign | ast.AnnAssign) and _draws_anew(statement.value):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            yield from (f"{above}{target.id}" for target in targets if isinstance(target, ast.Name))


def _draws_anew(value: ast.expr | None) -> bool:
    """`default_rng()`, `np.random.RandomState(None)`, `Generator(PCG64())`: no seed in any call of it."""
    if not isinstance(value, ast.Call):
        return False
    called = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
    given = [*value.args, *(keyword.value for keyword in value.keywords)]
    if called == "Generator":
        return all(isinstance(one, ast.Call) and not one.args and not one.keywords for one in given)
    return called in _MAKERS and all(isinstance(one, ast.Constant) and one.value is None for one in given)
