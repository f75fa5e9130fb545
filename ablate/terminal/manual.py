"""The pages of the manual, which travel with the program: which there are, in which order, and one of them as text.

A page is a Markdown file of `ablate/manual/`; its README.md lists them in the order in which they are read. A fence's
language may be followed by what the tests need to know of it (tests/terminal/test_manual.py); a reader never sees that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ablate.errors import AblateError
from ablate.text import did_you_mean, one_of

FOLDER = Path(__file__).parent.parent / "manual"
_LISTED = re.compile(r"^\* \[([\w-]+)\]\(\1\.md\): (.+)$", re.MULTILINE)


def topics() -> dict[str, str]:
    """Each page's topic and what it tells, in the order in which they are read."""
    return dict(_LISTED.findall((FOLDER / "README.md").read_text(encoding="utf-8")))


def page(topic: str, commands: Iterable[str] = ()) -> str:
    """A page as Markdown. AblateError where there is none; commands: what else may have been meant."""
    pages = topics()
    if topic not in pages:
        names = [*pages, *commands]
        inside = [name for name in pages if topic and topic in name]
        near = f" Did you mean {inside[0]!r}?" if inside else did_you_mean(topic, names)
        raise AblateError(f"the manual has no page {topic!r}; it has {one_of(pages)}.{near}")
    text = (FOLDER / f"{topic}.md").read_text(encoding="utf-8")
    text = re.sub(r"^(```\w+) .*$", r"\1", text, flags=re.MULTILINE)
    return re.sub(r"^<!--.*?-->\n\n?", "", text, flags=re.MULTILINE | re.DOTALL)


def contents() -> str:
    """The list of pages, as `ablate help` prints it."""
    pages = topics()
    width = max(map(len, pages))
    lines = [f"  {topic:{width}}  {what}" for topic, what in pages.items()]
    return "\n".join(
        ["The manual, a page a topic: ablate help TOPIC", "", *lines, "", "A command's options: ablate help COMMAND"]
    )
