"""Which variables a program reads: `${NAME:-default}` of a shell script, `os.environ["NAME"]` of a Python one.

Read from the source, and nothing is executed. What cannot be read (a name that is put together, the whole environment
handed on, a library that asks by itself) is said, and then no name is unknown.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ablate.records import Json
from ablate.scripts.script import Option, Script, Type

STYLE = "environment"

LIBRARIES = re.compile(
    r"(?:ABLATE|ACCELERATE|CUBLAS|CUDA|CUDNN|GOMP|HF|JAX|KMP|LD|LC|MALLOC|MKL|MLFLOW|NCCL|NUMEXPR|NVIDIA|OMP|OPENBLAS|"
    r"PL|PYTHON|PYTORCH|RAY|TF|TOKENIZERS|TORCH|TORCHINDUCTOR|TRANSFORMERS|TRITON|WANDB|XLA)_?[A-Z0-9_]*|HOME|PATH|LANG|TMPDIR|USER"
)
"""Variables that libraries and the system read: no script of the user's need name them."""

_READ = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([!#]?)([A-Za-z_]\w*)(?::?[-=]([^{}$]*)\})?)")
_SET = re.compile(r"(?:^|\b(?:export|local|declare|readonly|then|do|else)\b)\s*([A-Za-z_]\w*)=|\bfor\s+(\w+)\s+in\b")
_ENDS = re.compile(r";|&&|\|\|")
_SHELLS = re.compile(r"(?:BASH\w*|EUID|HOSTNAME|IFS|LINENO|OLDPWD|OPTARG|OPTIND|PPID|PWD|RANDOM|REPLY|SECONDS|UID|_)$")
_UNREADABLE = re.compile(r"\beval\b|\bprintenv\b|\benvsubst\b|\$\{!|(?:^|[;&|(]|\$\()\s*env\s*(?:$|\|)", re.MULTILINE)
_BY_THEMSELVES = {"decouple", "dynaconf", "environ", "environs", "envparse", "pydantic_settings", "starlette"}
_ASKING = {"auto_envvar_prefix", "auto_env_var_prefix", "default_env", "env_prefix"}


def read(path: Path, files: Sequence[Path]) -> Script:
    """The variables that a program reads, as options of the style `environment`. files: the user's code that it is made
    of; what is neither shell nor Python is passed over."""
    options: dict[str, Option] = {}
    unread: list[str] = []
    named: set[str] = set()
    for file in sorted(files, key=lambda file: file != path):
        text = file.read_text(encoding="utf-8", errors="replace")
        reader = _Python(file, text) if file.suffix == ".py" else _Shell(file, text)
        if file.suffix not in (".py", ".sh", ".bash"):
            named |= set(re.findall(r"\w+", text))  # `${oc.env:LR}`, say
            continue
        for option in sorted(reader.options(), key=lambda option: option.line):
            options.setdefault(option.name, option)
        unread += reader.unread
        named |= reader.named
    return Script(
        str(path), STYLE if options else "", tuple(options.values()), tuple(dict.fromkeys(unread)),
        tuple(map(str, files)), named=frozenset(named),
    )  # fmt: skip


class _Shell:
    """A script of sh or bash. named: every word of it, for it may hand a name on to what it calls."""

    def __init__(self, file: Path, text: str) -> None:
        lines = [re.sub(r"(^|\s)#.*", "", line) for line in text.splitlines()]
        self._file, self._lines = file, lines
        self.named = set(re.findall(r"\w+", "\n".join(lines)))
        self.unread = [
            f"{file.name}:{i}: {line.strip()}" for i, line in enumerate(lines, 1) if _UNREADABLE.search(line)
        ]

    def options(self) -> Iterator[Option]:
        """Names that are read before the script sets them itself."""
        own: set[str] = set()
        said = ((i, part) for i, line in enumerate(self._lines, 1) for part in _ENDS.split(line))
        for i, part in said:
            for match in _READ.finditer(re.sub(r"(?<=[\s=])'[^']*'", "", part)):
                name = match[1] or match[3]
                if name not in own and not _SHELLS.match(name):
                    yield _option(name, self._file, i, match[4])
            own |= {match[1] or match[2] for match in _SET.finditer(part)}


class _Python:
    """A module. named: the texts in it, for a name may be handed to a function that asks the environment."""

    def __init__(self, file: Path, text: str) -> None:
        self._file = file
        self.unread: list[str] = []
        self.named: set[str] = set()
        try:
            self._tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            self._tree = ast.Module([], [])
            self.unread.append(f"{file.name}: {error}")

    def options(self) -> Iterator[Option]:
        above = {child: node for node in ast.walk(self._tree) for child in ast.iter_child_nodes(node)}
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                self.named.add(node.value)
            elif isinstance(node, ast.keyword) and node.arg in _ASKING:
                self._miss(node.value, f"{node.arg}=")
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
                if _BY_THEMSELVES & {name.partition(".")[0] for name in names}:
                    self._miss(node, ast.unparse(node))
            elif _called(node) in ("environ", "environb"):
                yield from self._environ(node, above)
            elif _called(node) == "getenv" and isinstance(call := above.get(node), ast.Call) and call.func is node:
                yield from self._asked(call, call.args, above)

    def _environ(self, node: ast.AST, above: dict[ast.AST, ast.AST]) -> Iterator[Option]:
        """What one mention of os.environ reads."""
        outer = above.get(node)
        if isinstance(outer, ast.Subscript) and outer.value is node:
            if isinstance(outer.ctx, ast.Load):
                yield from self._asked(outer, [outer.slice], above)
        elif isinstance(outer, ast.Compare):
            yield from self._asked(outer, [outer.left], above)
        elif isinstance(outer, ast.Attribute) and isinstance(call := above.get(outer), ast.Call) and call.func is outer:
            if outer.attr in ("get", "pop", "setdefault", "__getitem__"):
                yield from self._asked(call, call.args, above)
            elif outer.attr != "update":
                self._miss(call, ast.unparse(call))
        elif not isinstance(outer, ast.alias | ast.ImportFrom):
            self._miss(outer or node, ast.unparse(outer or node))

    def _asked(self, node: ast.expr, given: Sequence[ast.expr], above: dict[ast.AST, ast.AST]) -> Iterator[Option]:
        name = given[0].value if given and isinstance(given[0], ast.Constant) else None
        if not isinstance(name, str):
            self._miss(node, ast.unparse(node))
            return
        default = given[1].value if len(given) > 1 and isinstance(given[1], ast.Constant) else None
        into = above.get(node)
        kind = _TYPES.get(getattr(into.func, "id", ""), "") if isinstance(into, ast.Call) else ""
        known = default if isinstance(default, str | int | float) else None
        yield _option(name, self._file, node.lineno, known, kind)

    def _miss(self, node: ast.AST, text: str) -> None:
        self.unread.append(f"{self._file.name}:{getattr(node, 'lineno', 1)}: {text[:80]}")


_TYPES: dict[str, Type] = {"int": "int", "float": "float", "bool": "truthy"}


def _called(node: ast.AST) -> str:
    """The last part of a name: `environ` of os.environ, and where it was imported from os."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _option(name: str, file: Path, line: int, default: Json = None, kind: Type = "") -> Option:
    return Option(name, name, "env", kind, default, file=str(file), line=line)
