"""Numbers in prose: a changed digit is found whatever it stands in, and another setting of the same number is none."""

import json
import random
import re

import pytest

from ablate.reports import checked, cited
from ablate.reports.cited import Known, Reference
from ablate.terminal import cli

KNOWN = {
    "mean": Known("91.74", (91.7392,), "10 runs of full"),
    "sd": Known("0.38", (0.3817,), "10 runs of full"),
    "mean_sd": Known("91.74 ± 0.38", (91.7392, 0.3817), "10 runs of full"),
    "delta": Known("-3.82", (-3.8249,), "10 pairs"),
    "size": Known("3.82", (3.8249,), "10 pairs"),
    "ci": Known("-5.31 to -2.34", (-5.3127, -2.3371), "10 pairs"),
    "p": Known("0.025", (0.02514,), "10 pairs", bound=True),
    "p_raw": Known("<0.001", (0.00021,), "10 pairs", bound=True),
    "p_tiny": Known("<0.001", (0.0000212,), "10 pairs", bound=True),
    "seconds": Known("90", (90.0,), "10 runs of full", "s", percent=(1,)),
    "n": Known("10", (10.0,), "10 runs of full", percent=()),
    "share": Known("0.917", (0.9174,), "10 runs of full", percent=(100,)),
    "parameters": Known("104234", (104234.0,), "10 runs of full"),
    "verdict": Known("helps", (), "10 pairs"),
}


def look_up(reference):
    return KNOWN[reference.quantity]


def wrong(text):
    return [one for bound in checked.bound(text) if (one := checked.wrong(bound, look_up))]


def test_one_changed_digit_among_sixty_bound_numbers_is_found_sixty_times_of_sixty():
    quantities = [name for name in KNOWN if name != "verdict"]
    names = [quantities[i % len(quantities)] for i in range(60)]
    every = [(f"s/full/{name}", KNOWN[name].shown) for name in names]
    chance = random.Random(18)
    for at in range(60):
        numbers = list(every)
        key, shown = numbers[at]
        place = chance.choice([i for i, sign in enumerate(shown) if sign.isdigit()])
        digit = chance.choice([other for other in "0123456789" if other != shown[place]])
        numbers[at] = (key, shown[:place] + digit + shown[place + 1 :])
        text = "\n".join(f"Text \\ablate{{{k}}}{{{v}}} and {v}<!-- ablate: {k} --> more." for k, v in numbers)
        assert [(at + 1, k) for k in range(2)] == [(one.at[0], i) for i, one in enumerate(wrong(text))], numbers[at]


UNITLESS = ("p", "p_raw", "p_tiny", "n", "share")
"""A per cent or a point behind these makes another number of them."""


def reset(shown, chance, tex):
    """The same number, set otherwise."""
    text = shown
    if " ± " in text and tex:
        text = text.replace(" ± ", chance.choice([r" $\pm$ ", r"\,$\pm$\,", " ± ", r" \pm "]))
    if " to " in text:
        text = text.replace(" to ", chance.choice([" to ", ", ", "\nto\n", " and "]))
    if text == "104234":
        text = chance.choice(
            ["104234", "104,234", "104\u2009234", "104\u202f234"] + ([r"104\,234", "104{,}234"] if tex else [])
        )
    text = text.replace("-", chance.choice(["-", "−", "–"] + (["$-$", r"\textminus{}"] if tex else [])))
    text = re.sub(r"^0\.0", chance.choice(["0.0", ".0"]), text)
    text = text.replace("<", chance.choice(["<", "< "] + (["$<$", r"\textless{}"] if tex else ["&lt;"])))
    if tex:
        wraps = [
            "{}",
            r"\textbf{{{}}}",
            "${}$",
            r"\num{{{}}}",
            r"\textbf{{${}$}}",
            " {} ",
            "{}\\%",
            "{}~points",
            "\n  {}\n",
        ]
    else:
        wraps = ["{}", "**{}**", "_{}_", "`{}`", "{} ", "<b>{}</b>", "{} points", "**{}** points\n"]
    return chance.choice(wraps).format(text)


def test_two_hundred_other_settings_of_the_same_numbers_raise_no_alarm():
    chance = random.Random(5)
    for _ in range(200):
        name = chance.choice(list(KNOWN))
        tex = reset(KNOWN[name].shown, chance, tex=True)
        space = chance.choice(["", " ", "\n", "% split\n"])
        tex = tex.replace("~points", "").replace("\\%", "") if name in ("verdict", *UNITLESS) else tex
        macro = f"As\nwe see, \\ablate{{s/full/{name}}}{space}{{{tex}}} is so."
        plain = reset(KNOWN[name].shown, chance, tex=False)
        plain = plain.replace(" points", "") if name in ("verdict", *UNITLESS) else plain
        html = f"We have {plain}<!-- ablate: s/full/{name} -->, so."
        assert [] == wrong(macro), macro
        assert [] == wrong(html), html


@pytest.mark.parametrize(
    ("quantity", "stated"),
    [("mean", "92"), ("mean", "91.7"), ("p", "0.03"), ("p", "< 0.05"), ("ci", "[-5.3, -2.3]"), ("delta", "-3.8"),
     ("p_tiny", "<0.001"), ("p_tiny", r"$< 10^{-4}$"), ("share", r"91.7\,\%"), ("seconds", "1.5 min"),
     ("parameters", "104k"), ("parameters", "0.10 M"), ("mean", r"91.74\footnote{Of 3 runs}"), ("verdict", "help"),
     ("mean", r"91.74$^{1}$"), ("mean", r"\qty{91.74}{\percent}"), ("mean", r"\cellcolor{gray!20}91.74"),
     ("mean", r"\multirow{2}{*}{91.74}"), ("mean", r"91.74\hspace{2mm}"), ("mean", r"91.74\footnotemark[2]"),
     ("mean", r"91.74\kern2pt"), ("mean", r"\num[round-precision=2]{91.74}"), ("ci", "$-5.31$--$-2.34$"),
     ("mean_sd", r"91.74\textpm0.38"), ("mean_sd", r"$91.74_{\pm0.38}$"), ("mean_sd", "91.74 +/- 0.38"),
     ("delta", r"\textminus3.82"), ("mean", "<b class='x1'>91.74</b>"), ("mean", "91.74&#37;")],
)  # fmt: skip
def test_fewer_decimals_or_another_unit_are_the_same(quantity, stated):
    assert [] == wrong(f"\\ablate{{s/full/{quantity}}}{{{stated}}}")


@pytest.mark.parametrize(
    ("quantity", "stated"),
    [("mean", "91.8"), ("mean", "91.740"), ("p", "< 0.01"), ("p_raw", "< 0.05"), ("delta", "3.8"), ("ci", "-5.3"),
     ("verdict", "hurts"), ("verdict", "inconclusive"), ("seconds", "90 min"), ("n", r"10\,\%"), ("share", r"0.917\,\%"),
     ("p_tiny", "<0.00001"), ("delta", "-3.82 (n = 10)"), ("ci", "$5.31$--$2.34$"), ("ci", "-2.34 to -5.31")],
)  # fmt: skip
def test_another_number_sign_bound_or_word_is_not(quantity, stated):
    (one,) = wrong(f"Text.\n  \\ablate{{s/full/{quantity}}}{{{stated}}}")
    assert 2 == one.at[0]
    assert f"the database has {KNOWN[quantity].shown}" in one.message


def test_a_number_that_was_rounded_twice_is_told_with_what_was_rounded():
    known = {"mean": Known("83.75", (83.7467,), "4 runs")}
    (one,) = [checked.wrong(b, lambda of: known[of.quantity]) for b in checked.bound(r"\ablate{s/full/mean}{83.8}")]
    assert "the database has 83.75, or 83.7467 (4 runs)" in one.message


def test_a_macro_without_a_number_is_no_number_that_is_right():
    assert ["s/a_b/mean: no number stands in braces behind it."] == [
        w.message for w in wrong(r"\ablate{s/a\_b/mean} 3")
    ]
    assert [] == checked.bound(r"\newcommand{\mine}[2]{\textbf{\ablate{#1}{#2}}}")


def test_what_a_text_shows_as_code_is_not_checked_and_a_percent_sign_of_markdown_hides_nothing():
    verbatim = "\\begin{verbatim}\n\\ablate{s/full/mean}{1}\n\\end{verbatim} \\verb|\\ablate{s/full/mean}{2}|"
    assert [] == checked.bound(verbatim)
    text = "`1<!-- ablate: a/b/c -->`\n```\n1<!-- ablate: a/b/c -->\n```\n"
    text += "5 % \\ablate{s/full/mean}{91.7} `91.7`<!-- ablate: s/full/mean -->"
    assert [(5, 26), (5, 32)] == [one.at for one in checked.bound(text, markdown=True)]
    assert [] == checked.bound("<!-- \\ablate{s/full/mean}{2} -->", markdown=True)
    assert ["tabs/one", "two.tex"] == checked.inputs("\\input{tabs/one} % \\input{no}\n\\include{two.tex}")


def test_what_latex_comments_out_and_the_macro_itself_are_not_checked():
    text = r"""\providecommand{\ablate}[2]{#2}
% \ablate{s/full/mean}{1}
100\% of \ablate{s/full/mean}{91.7}"""
    assert [(3, 31)] == [one.at for one in checked.bound(text)]


def test_a_label_is_that_of_one_row_whichever_minus_it_begins_with(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(
        "def main(config, run):\n    return {'score': run.seed * config['x'] + config['y']}\n"
    )
    (tmp_path / "s.yaml").write_text(TWICE)

    def ablate(*words):
        with pytest.raises(SystemExit):
            cli.main(["--db", "a.db", *words])
        return capsys.readouterr().out

    ablate("run", "s.yaml")
    assert "\\ablate{s/leave_one_out:base+y/delta}" in ablate("cite", "s", "- x", "delta")
    assert ablate("cite", "s", "- x", "delta") == ablate("cite", "s", "− x", "delta")
    assert "\\ablate{s/add_one_in:base+x/delta}" in ablate("cite", "s", "+ x", "delta")


TWICE = """
task: train:main
base: {x: 1, y: 0}
tricks: {x: {set: {x: 2}}, y: {set: {y: 5}}}
designs: [leave_one_out, add_one_in]
seeds: 3
metric: {name: score, better: higher}
"""


def test_a_reference_keeps_its_names_whatever_they_hold():
    for row in ("a/b", "50% & more", "{x}", "a (tuned)", "факт"):
        assert Reference("s", row, "mean") == Reference.of(str(Reference("s", row, "mean")))


def places(ended):
    code, out = ended
    return code, [(of["file"], one["line"], one["column"]) for of in json.loads(out) for one in of["wrong"]]


RUNS = "v,s,acc\n" + "".join(f"{v},{s},{a + s / 10}\n" for v, a in (("full", 90), ("a_b", 92.04)) for s in range(3))


def test_what_cite_prints_check_finds_true_until_a_run_changes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def ablate(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main(["--db", "a.db", *words])
        return ended.value.code, capsys.readouterr().out

    asked = ("--study", "s", "--metric", "acc", "--better", "higher", "--variant", "v", "--seed", "s", "--replace")
    (tmp_path / "runs.csv").write_text(RUNS)
    assert 0 == ablate("import", "runs.csv", *asked)[0]
    tex = [
        ablate("cite", "s", "a_b", name)[1].strip() for name in (*cited.QUANTITIES,) if name not in ("ci", "p", "p_raw")
    ]
    markdown = ablate("cite", "s", "a_b", "mean", "-f", "markdown")[1]
    assert ["mean", "92.14"] == ablate("cite", "s", "a_b")[1].split()[:2]
    (tmp_path / "p.tex").write_text("\n".join(tex))
    (tmp_path / "r.md").write_text(f"| acc | {markdown.strip()} |\n")
    assert (
        0,
        "p.tex: 9 bound numbers, all as the database has them\nr.md: 1 bound number, all as the database has them\n",
    ) == ablate("check", "p.tex", "r.md")
    (tmp_path / "runs.csv").write_text(RUNS.replace("92.04", "92.4"))
    ablate("import", "runs.csv", *asked)
    code, out = ablate("check", "p.tex", "r.md")
    assert 1 == code
    assert "r.md:1:9: s/a_b/mean: '92.14' stands here, the database has 92.26 (3 runs of a_b (seeds 0 to 2))." in out
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/t.tex").write_bytes(b"\xef\xbb\xbf\\ablate{s/a_b/mean}{92.14}\r\n")
    (tmp_path / "q.tex").write_text("\\input{sub/t}\\input{none}")
    assert (1, [("sub/t.tex", 1, 21)]) == places(ablate("check", "q.tex", "-f", "json"))
    (tmp_path / "p.tex").write_text(r"\ablate{s/a_c/mean}{92} \ablate{t/a/mean}{1} \ablate{s}{3}")
    out = ablate("check", "p.tex")[1]
    assert "p.tex:1:21: s/a_c/mean: s: no row is called 'a_c'; there is full or a_b. Did you mean 'a_b'?" in out
    assert "'s' is no STUDY/ROW/QUANTITY" in out
    assert 2 == ablate("check", "runs.csv")[0]
