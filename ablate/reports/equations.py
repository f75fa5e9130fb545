"""A formula as MathML for a page, as Typst's code for a PDF, and in plain signs for a text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from ablate.reports.formula import FUNCTIONS, LIMITS, NOTHING, Formula, Node
from ablate.text import MINUS

_COMBINING = {"^": "\u0302", "¯": "\u0304", "~": "\u0303", "→": "\u20d7", "˙": "\u0307", "¨": "\u0308"}
"""By what stands over a letter."""


def mathml(of: Formula) -> str:
    """For a page. Everything is escaped."""
    shown = ' display="block"' if of.display else ""
    return f"<math{shown}>{_mathml(of.root, of.display)}</math>"


def _mathml(node: Node, display: bool) -> str:
    parts = [_mathml(part, display) for part in node.parts]
    match node.kind:
        case "letter":
            return f"<mi>{escape(node.text)}</mi>"
        case "number":
            return f"<mn>{escape(node.text)}</mn>"
        case "word" if not node.text.strip():
            return f'<mspace width="{0.17 * len(node.text):.2g}em"/>'
        case "word" if node.text in FUNCTIONS:
            return f'<mi>{node.text}</mi><mspace width="0.17em"/>'
        case "word":
            return f"<mtext>{escape(node.text)}</mtext>"
        case "sign" if _class(node.text) in ("opening", "closing") or node.text in "|‖":
            return f'<mo stretchy="false">{escape(node.text)}</mo>'
        case "sign" | "large":
            return f"<mo>{escape(node.text)}</mo>"
        case "scripts":
            return _mathml_scripts(node, parts, display)
        case "fraction":
            return f"<mfrac>{parts[0]}{parts[1]}</mfrac>"
        case "root":
            return f"<mroot>{parts[0]}{parts[1]}</mroot>" if node.parts[1] != NOTHING else f"<msqrt>{parts[0]}</msqrt>"
        case "over":
            return f'<mover accent="true">{parts[0]}<mo>{escape(node.text)}</mo></mover>'
        case "fence":
            ends = [f"<mo>{escape(end)}</mo>" if end else "" for end in node.text.split(" ")]
            return f"<mrow>{ends[0]}{parts[0]}{ends[1]}</mrow>"
        case _:
            return f"<mrow>{''.join(parts)}</mrow>"


def _mathml_scripts(node: Node, parts: Sequence[str], display: bool) -> str:
    base, below, above = node.parts
    over = display and (base.kind == "large" or base.text in LIMITS)
    tags = ("munder", "mover", "munderover") if over else ("msub", "msup", "msubsup")
    first = f"<mi>{base.text}</mi>" if base.text in FUNCTIONS else parts[0]
    space = '<mspace width="0.17em"/>' * (base.text in FUNCTIONS)
    tag = tags[2 if below != NOTHING and above != NOTHING else 1 if above != NOTHING else 0]
    scripts = "".join(part for part, one in zip(parts[1:], (below, above), strict=True) if one != NOTHING)
    return f"<{tag}>{first}{scripts}</{tag}>{space}"


def typst(of: Formula) -> str:
    """For Typst, in code: every text is a string."""
    block = "true" if of.display else "false"
    return f"math.equation(block: {block}, {_typst(of.root)})"


def _typst(node: Node) -> str:
    parts = [_typst(part) for part in node.parts]
    text = _string(node.text)
    match node.kind:
        case "letter":
            return f"math.italic({text})"
        case "word" if node.text in FUNCTIONS:
            return f"math.op({text}, limits: {'true' if node.text in LIMITS else 'false'})"
        case "word" | "number":
            return f"math.upright({text})"
        case "sign":
            return f'math.class("{_class(node.text)}", {text})'
        case "large":
            return f'math.class("large", {text})'
        case "scripts":
            given = [
                f", {side}: {part}"
                for side, part, one in zip("bt", parts[1:], node.parts[1:], strict=True)
                if one != NOTHING
            ]
            return f"math.attach({parts[0]}{''.join(given)})"
        case "fraction":
            return f"math.frac({parts[0]}, {parts[1]})"
        case "root":
            return f"math.root({parts[1]}, {parts[0]})" if node.parts[1] != NOTHING else f"math.sqrt({parts[0]})"
        case "over":
            return f"math.accent({parts[0]}, {_string(_COMBINING[node.text])})"
        case "fence":
            first, last = node.text.split(" ")
            return f"math.lr({{{_string(first)}; {parts[0]}; {_string(last)}}})"
        case _:
            return f"{{{'; '.join(parts)}}}" if parts else "[]"


def _string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _class(sign: str) -> str:
    if sign in "([{⟨⌊⌈":
        return "opening"
    if sign in ")]}⟩⌋⌉":
        return "closing"
    if sign in ",;:":
        return "punctuation"
    if sign in "=<>≤≥≠≪≫≈∼≃≡∝∈∉⊂⊆→←↦⇒⇔∣":
        return "relation"
    return "binary" if sign in f"+{MINUS}⋅×÷±∓∗∘⊙⊕⊗∪∩∖" else "normal"


def plain(of: Formula) -> str:
    """In signs, for a text: `ℒ = −∑_k yₖ log pₖ`."""
    text = re.sub(r" {2,}", " ", "".join(_plain(of.root)))
    return re.sub(rf"(^|[=<>≤≥(]) ?{MINUS} ", rf"\1 {MINUS}", text).replace("( ", "(").strip()


_RAISED = str.maketrans("0123456789+−=()nixk", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱˣᵏ")
_LOWERED = str.maketrans("0123456789+−=()aeoxhklmnpstij", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₒₓₕₖₗₘₙₚₛₜᵢⱼ")


def _plain(node: Node) -> Iterator[str]:
    match node.kind:
        case "sign" if _class(node.text) in ("relation", "binary"):
            yield f" {node.text} "
        case "word" if node.text in FUNCTIONS:
            yield f" {node.text} "
        case "scripts":
            base, *scripts = ("".join(_plain(part)).strip() for part in node.parts)
            yield base
            for mark, script, table in zip("_^", scripts, (_LOWERED, _RAISED), strict=True):
                if script:
                    yield "′" if script == "′" else _small(script, table) or f"{mark}{_held(script)} "
        case "fraction":
            yield "{} / {} ".format(*(_held("".join(_plain(part)).strip()) for part in node.parts))
        case "root":
            index = "".join(_plain(node.parts[1])).strip()
            raised = _small(index, _RAISED) or f"[{index}]" * bool(index)
            yield raised * (index != "2") + "√" + _held("".join(_plain(node.parts[0])).strip())
        case "over":
            yield "".join(_plain(node.parts[0])) + _COMBINING[node.text]
        case "fence":
            first, last = node.text.split(" ")
            yield first + "".join(_plain(node.parts[0])) + last
        case _:
            yield node.text
            for part in node.parts:
                yield from _plain(part)


def _small(script: str, table: Mapping[int, int]) -> str:
    """Raised or lowered; empty where a sign of it cannot be."""
    bare = script.replace(" ", "")
    return bare.translate(table) if all(ord(character) in table for character in bare) else ""


def _held(text: str) -> str:
    return text if len(text) == 1 or text.isalnum() else f"({text})"
