r"""A formula between dollars in an author's notes: a part of LaTeX's mathematics, read once, written for each format.

Letters and numbers, `_` and `^`, fractions, roots, accents, Greek, sums, common signs and functions, and words in
`\text{}`. Any other command is refused by its name, so no format is handed LaTeX that it was not meant to run.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Literal

from ablate.errors import AblateError
from ablate.text import MINUS, did_you_mean

Kind = Literal["row", "letter", "word", "number", "sign", "large", "scripts", "fraction", "root", "over", "fence"]


@dataclass(frozen=True)
class Node:
    """A part of a formula. text: of a letter, word, number or sign itself; of an accent what stands over; of a fence
    its two ends. parts: of scripts the base, what is below and what above; of a fraction both; of a root what is under
    it and which root."""

    kind: Kind
    text: str = ""
    parts: tuple[Node, ...] = ()


NOTHING = Node("row")


@dataclass(frozen=True)
class Formula:
    """source: as LaTeX, of known commands only. display: in a line of its own."""

    source: str
    root: Node
    display: bool = False


# ------------------------------------------------------------------------------------------------------------ the words


def _pairs(text: str) -> dict[str, str]:
    """Commands and their signs, in turn."""
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


_LETTERS = _pairs(
    "alpha α beta β gamma γ delta δ epsilon ϵ varepsilon ε zeta ζ eta η theta θ vartheta ϑ iota ι kappa κ lambda "
    "λ mu μ nu ν xi ξ pi π rho ρ sigma σ tau τ upsilon υ phi ϕ varphi φ chi χ psi ψ omega ω Gamma Γ Delta Δ Theta "
    "Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Phi Φ Psi Ψ Omega Ω ell ℓ partial ∂ nabla ∇ infty ∞ emptyset ∅ hbar ℏ Re ℜ Im ℑ"
)
_SIGNS = _pairs(
    "cdot ⋅ times × div ÷ pm ± mp ∓ ast ∗ circ ∘ odot ⊙ oplus ⊕ otimes ⊗ leq ≤ le ≤ geq ≥ ge ≥ neq ≠ ne ≠ ll ≪ gg "
    "≫ approx ≈ sim ∼ simeq ≃ equiv ≡ propto ∝ in ∈ notin ∉ subset ⊂ subseteq ⊆ cup ∪ cap ∩ setminus ∖ to → "
    "rightarrow → leftarrow ← mapsto ↦ Rightarrow ⇒ Leftrightarrow ⇔ mid ∣ forall ∀ exists ∃ ldots … dots … cdots "
    "… lVert ‖ rVert ‖ langle ⟨ rangle ⟩ lfloor ⌊ rfloor ⌋ lceil ⌈ rceil ⌉ star ⋆ prime ′ top ⊤"
) | {"|": "‖", "{": "{", "}": "}"}
_LARGE = _pairs("sum ∑ prod ∏ int ∫ bigcup ⋃ bigcap ⋂")
LIMITS = frozenset({"max", "min", "sup", "inf", "lim"})
FUNCTIONS = LIMITS | {"log", "ln", "exp", "sin", "cos", "tan", "tanh", "arg", "det", "dim", "Pr", "deg", "ker"}
_ACCENTS = {"hat": "^", "widehat": "^", "bar": "¯", "overline": "¯", "tilde": "~", "vec": "→", "dot": "˙", "ddot": "¨"}
_STYLES = {"mathcal": "SCRIPT", "mathbb": "DOUBLE-STRUCK", "mathbf": "BOLD", "boldsymbol": "BOLD"}
_WORDS = frozenset({"text", "mathrm", "operatorname", "textrm"})
_FRACTIONS = frozenset({"frac", "tfrac", "dfrac"})
_SPACES = {",": " ", ";": " ", ":": " ", "!": "", "quad": "  ", "qquad": "   "}
_FENCES = {"(": "(", ")": ")", "[": "[", "]": "]", "|": "|", ".": ""}
_KNOWN = (
    {*_LETTERS, *_SIGNS, *_LARGE, *FUNCTIONS, *_ACCENTS, *_STYLES, *_WORDS, *_FRACTIONS, *_SPACES}
    | {"sqrt", "left", "right", "displaystyle", "limits"}
)  # fmt: skip
_AS_COMMAND = {sign: name for names in (_SIGNS, _LETTERS, _LARGE) for name, sign in reversed(names.items())}
_AS_COMMAND |= {"·": "cdot"}
_TOKENS = re.compile(r"\\([A-Za-z]+|.)|(\d+(?:\.\d+)?)|(\s+)|(.)", re.S)


def read(source: str, display: bool = False) -> Formula:
    """A formula. AblateError says what in it is not known."""
    parser = _Parser(source)
    root = parser.row("")
    return Formula(parser.said(), root, display)


@dataclass
class _Parser:
    source: str
    tokens: list[str] = field(default_factory=list)
    at: int = 0

    def __post_init__(self) -> None:
        for found in _TOKENS.finditer(self.source):
            command, number, blank, other = found.groups()
            other = "-" if other == MINUS else other
            if other in _AS_COMMAND and other not in ("|", "{", "}"):
                command, other = _AS_COMMAND[other], ""
            if other and not other.isascii():
                raise AblateError(f"has {other!r}, which no formula is set with; put it outside of the dollars.")
            if other and other in '%#&~$"`\\':
                raise AblateError(f"has {other!r}, which a formula does not take.")
            command = "," if command == " " else command  # whose blank the end of a line would lose
            if command is not None and command not in _KNOWN:
                raise AblateError(f"has \\{command}, which is not known.{did_you_mean(command, sorted(_KNOWN))}")
            self.tokens.append(f"\\{command}" if command is not None else number or other or " " * bool(blank))

    def said(self) -> str:
        """The tokens as LaTeX again: with a blank behind a command, lest it run into a letter."""
        return "".join(f"{t} " if len(t) > 2 and t[0] == "\\" else t for t in self.tokens).strip()

    def _next(self) -> str:
        """The next token that is no blank; empty at the end."""
        while self.at < len(self.tokens) and self.tokens[self.at] == " ":
            self.at += 1
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def _take(self) -> str:
        token = self._next()
        self.at += 1
        return token

    def row(self, end: str) -> Node:
        """Everything up to `end`, which is taken; empty for the end of the formula."""
        made: list[Node] = []
        while (token := self._next()) != end:
            if token == "":
                raise AblateError(f"ends where {end} is missing.")
            if token in ("}", "\\right"):
                raise AblateError(f"has a {token} that nothing opened.")
            if token in ("^", "_", "'"):
                base = made.pop() if made else NOTHING
                made.append(self._scripts(base))
                continue
            node = self._atom()
            made += [node] if node != NOTHING else []
        self.at += 1
        return made[0] if len(made) == 1 else Node("row", "", tuple(made))

    def _scripts(self, base: Node) -> Node:
        below = above = NOTHING
        while (token := self._next()) in ("^", "_", "'"):
            self.at += 1
            if token == "_" and below == NOTHING:
                below = self._argument(token)
            elif token != "_" and above == NOTHING:
                above = Node("sign", "′") if token == "'" else self._argument(token)
            else:
                raise AblateError(f"has two {token} at one place.")
        return Node("scripts", "", (base, below, above))

    def _argument(self, of: str) -> Node:
        """What stands in braces, or a single sign."""
        token = self._next()
        if token in ("", "}", "^", "_"):
            raise AblateError(f"has nothing behind {of}.")
        if token == "{":
            self.at += 1
            return self.row("}")
        return self._atom()

    def _atom(self) -> Node:
        token = self._take()
        if token == "{":
            return self.row("}")
        if token[0] != "\\":
            return _single(token)
        return self._command(token[1:])

    def _command(self, name: str) -> Node:
        if name in _LETTERS:
            return Node("letter", _LETTERS[name])
        if name in _SIGNS:
            return Node("sign", _SIGNS[name])
        if name in _LARGE:
            return Node("large", _LARGE[name])
        if name in FUNCTIONS:
            return Node("word", name)
        if name in _ACCENTS:
            return Node("over", _ACCENTS[name], (self._argument(f"\\{name}"),))
        if name in _FRACTIONS:
            return Node("fraction", "", (self._argument(f"\\{name}"), self._argument(f"\\{name}")))
        if name in _WORDS or name in _STYLES:
            return self._word(name)
        if name == "sqrt":
            index = NOTHING
            if self._next() == "[":
                self.at += 1
                index = self.row("]")
            return Node("root", "", (self._argument("\\sqrt"), index))
        if name == "left":
            opens = self._fence("\\left")
            inside = self.row("\\right")
            return Node("fence", f"{opens} {self._fence('right')}", (inside,))
        return Node("word", _SPACES[name]) if _SPACES.get(name) else NOTHING

    def _fence(self, of: str) -> str:
        token = self._take()
        sign = _FENCES.get(token) if token[:1] != "\\" else _SIGNS.get(token[1:])
        if sign is None:
            raise AblateError(f"has {token or 'nothing'} behind {of}; a bracket or a dot stands there.")
        return sign

    def _word(self, name: str) -> Node:
        """Upright or otherwise shaped letters; of a text with its blanks."""
        if self._take() != "{":
            self.at -= 1
            letters = self._take()
        else:
            end = self.tokens.index("}", self.at) if "}" in self.tokens[self.at :] else len(self.tokens)
            letters = (
                "".join(self.tokens[self.at : end]).strip() if name != "text" else "".join(self.tokens[self.at : end])
            )
            self.at = end + 1
        if name == "boldsymbol" and letters.startswith("\\") and letters[1:] in _LETTERS:
            return Node("letter", _LETTERS[letters[1:]])
        if "\\" in letters or "{" in letters:
            raise AblateError(f"has {letters} in \\{name}, which takes letters only.")
        if name in _STYLES:
            return Node("letter", "".join(_shaped(letter, _STYLES[name]) for letter in letters))
        return Node("word", letters)


def _single(token: str) -> Node:
    if token[0].isdigit():
        return Node("number", token)
    return Node("letter", token) if token.isalpha() else Node("sign", {"-": MINUS, "*": "∗"}.get(token, token))


def _shaped(letter: str, style: str) -> str:
    size = "CAPITAL" if letter.isupper() else "SMALL"
    for name in (f"MATHEMATICAL {style} {size} {letter.upper()}", f"{style} {size} {letter.upper()}"):
        try:
            return unicodedata.lookup(name)
        except KeyError:
            continue
    return letter
