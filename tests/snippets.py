"""Fenced blocks of a page, as one story in a folder of its own: files are written, commands are run, queries are asked.

The first word after the fence is the language, the rest says what to do:

    ```yaml FILE      ```python FILE      ```csv FILE       a file (```latex, too) that later blocks use
    ```yaml                                                 a part of a study: taken, the rest filled in
    ```sh             ```sh exits 1: WHY  ```sh not-run: WHY   a command a line
    ```console                                              `$ command`, and what it prints; `...` is anything
    ```sql                                                  a query of results/ablate.db that finds something
    ```text                                                 nothing to run

Commands of ablate are called in this process; those of a block that is not run are parsed by the command line.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
MANUAL = ROOT / "ablate/manual"
FENCE = re.compile(r"^```(\w+)(?: ([^\n]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`(ablate [^`]+)`(?!`)")

STUDY = {
    "base": "base: {model: {name: vgg, width: 4}, data: {name: digits, train_size: 100}, epochs: 1}",
    "tricks": "tricks: {batchnorm: {set: {model.norm: batch}}, mixup: , cutmix: , onecycle: {set: {schedule: {name: onecycle}}}}",
}
"""What a part of a study is completed with."""


@dataclass(frozen=True)
class Block:
    language: str
    info: str
    text: str
    line: int

    @property
    def not_run(self) -> bool:
        return self.info.startswith("not-run: ")

    @property
    def exits(self) -> int:
        found = re.match(r"exits (\d): .", self.info)
        return int(found[1]) if found else 0


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(found[1], found[2] or "", found[3], text[: found.start()].count("\n") + 1)
        for found in FENCE.finditer(text)
    ]


def commands(text: str) -> list[str]:
    """A command a line, without its comment."""
    lines = (re.sub(r"\s+# .*$", "", line) for line in text.splitlines())
    return [line for line in lines if line.strip() and not line.startswith("#")]


def inline(page: Path) -> list[str]:
    """Commands in the running text."""
    return INLINE.findall(FENCE.sub("", page.read_text(encoding="utf-8")).replace("\n", " "))


def parse(command: str, *, whole: bool = True) -> None:
    """Let the command line read a command that is not run: an unknown command or option is an error.

    whole: whether it is an error, too, that an argument is missing.
    """
    from typer.main import get_command

    from ablate.terminal.cli import app

    words = shlex.split(command)
    assert words.pop(0) == "ablate", command
    while words and words[0].startswith("-"):
        del words[: 2 if words[0] == "--db" else 1]
    if words and not {"--help", "--version"} & set(words):
        name = words.pop(0)
        made = get_command(app).commands
        assert name in made, f"{command}: there is no command {name!r}"
        try:
            made[name].make_context(name, words)
        except Exception as error:
            if whole or type(error).__name__ != "MissingParameter":
                raise


def shown_by(pattern: str, printed: str) -> bool:
    """Whether a text is what a page shows; `...` is anything, and how a line ends in spaces is no matter."""
    tidy = ["\n".join(line.rstrip() for line in text.strip().splitlines()) for text in (pattern, printed)]
    parts = [re.escape(part).replace(r"\ ", r"\s+") for part in re.sub(r" {2,}", " ", tidy[0]).split("...")]
    return re.fullmatch(".*?".join(parts), re.sub(r" {2,}", " ", tidy[1]), re.DOTALL) is not None


@dataclass
class Story:
    """The blocks of one page, in a folder of its own. ran: what was executed, for messages."""

    folder: Path
    ran: list[str] = field(default_factory=list)

    def tell(self, page: Path) -> None:
        for block in blocks(page):
            try:
                getattr(self, f"on_{block.language}")(block)
            except AssertionError as error:
                raise AssertionError(f"{page.name}:{block.line}: {error}") from error

    # what each language means

    def on_text(self, block: Block) -> None:
        assert not block.info

    def on_csv(self, block: Block) -> None:
        self.write(block)

    def on_latex(self, block: Block) -> None:
        self.write(block)

    def on_python(self, block: Block) -> None:
        assert block.info, "a Python snippet is a file, or a part of one that cannot be run"
        self.write(block)

    def on_yaml(self, block: Block) -> None:
        if block.info:
            self.write(block)
            return
        from ablate.study.file import parse as parse_study

        rest = [text for key, text in STUDY.items() if not re.search(f"^{key}:", block.text, re.MULTILINE)]
        parse_study("\n".join([block.text, *rest]), "part.yaml", folder=self.folder)

    def on_sql(self, block: Block) -> None:
        with contextlib.closing(sqlite3.connect(self.folder / "results/ablate.db")) as connection:
            assert connection.execute(block.text).fetchall(), f"finds nothing:\n{block.text}"

    def on_sh(self, block: Block) -> None:
        assert not block.info or block.not_run or block.exits, f"`{block.info}` is no instruction"
        for command in commands(block.text):
            if block.not_run:
                self.only_parse(command)
            else:
                code, out, err = self.run(command)
                assert code == block.exits, f"{command} exits with {code}:\n{out}{err}"

    def on_console(self, block: Block) -> None:
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, pattern = part.partition("\n")
            _, out, err = self.run(command)
            assert shown_by(pattern, out + err), f"{command} prints\n{out}{err}\nand the page shows\n{pattern}"

    # how

    def write(self, block: Block) -> None:
        path = self.folder / block.info
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")

    def only_parse(self, command: str) -> None:
        words = shlex.split(command)
        if words[0] == "ablate":
            parse(command)
        elif words[0] == "make":
            assert re.search(f"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), f"no target: {command}"
        elif words[0] == "sbatch":
            parse(words[words.index("--wrap") + 1])

    def run(self, command: str) -> tuple[int, str, str]:
        self.ran.append(command)
        words = shlex.split(command)
        if words[0] == "ablate":
            return self.ablate(words[1:])
        assert words[0] == "python", f"{command}: mark what is not run as such"
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, *words[1:]], cwd=self.folder, capture_output=True, text=True, env=environment
        )
        return done.returncode, done.stdout, done.stderr

    def ablate(self, words: list[str]) -> tuple[int, str, str]:
        """In this process: a start of Python for each of some hundred commands would take a minute."""
        from ablate.terminal import cli

        out, err, before = io.StringIO(), io.StringIO(), Path.cwd()
        os.chdir(self.folder)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                cli.main(words)
        except SystemExit as end:
            return int(end.code or 0), out.getvalue(), err.getvalue()
        finally:
            os.chdir(before)
        raise AssertionError("main always exits")


# ------------------------------------------------------------------------------------------------------------- links


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(page: Path) -> list[str]:
    """Relative links of a page that lead nowhere, and anchors that no heading has."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    return broken
