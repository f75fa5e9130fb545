"""Published ablations, entered as their papers print them, come out as their papers' tables.

published/NAME.csv holds a paper's numbers and says where they are from; the tables beside it are what `ablate table`
makes of them, without the notes below. After a change that is meant: `python tests/tables/test_published.py FOLDER` makes them anew, with
a database in FOLDER; look at what it did.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ablate.terminal import cli

FOLDER = Path(__file__).parent / "published"
NOTES = {"md": "\n\n- ", "tex": "\n\\par\\medskip", "html": "\n<ul>"}
"""Where the notes begin, by the file's ending."""

CONVNEXT = (
    'stage ratio,"patchify" stem,depthwise conv,increase width,inverting dimensions,move up depthwise conv,'
    "kernel size → 7,ReLU → GELU,fewer activations,fewer norms,BN → LN,separate d.s. conv"
)
YOLOX = "decoupled head,strong augmentation,anchor-free,multi positives,SimOTA,NMS free (optional)"
DEIT = "Rand-Augment,AutoAug,Mixup,CutMix,Erasing,Stoch. Depth,Repeated Aug.,Dropout,Exp. Moving Avg."
IMPORTS = {
    "convnext": (
        "--metric", "IN-1K acc.", "--variant", "model", "--factors", CONVNEXT, "--mean", "acc", "--sd", "sd", "--n", "n",
        "--also", "GFLOPs:lower",
    ),
    "yolox": (
        "--metric", "AP", "--variant", "method", "--factors", YOLOX, "--also", "parameters:lower", "--also",
        "GFLOPs:lower", "--also", "latency:lower", "--also", "FPS:higher",
    ),
    "deit": (
        "--metric", "top1_224", "--variant", "ablation", "--baseline", "none: DeiT-B", "--factors",
        f"pre-training,fine-tuning,{DEIT}", "--also", "top1_384:higher",
    ),
    "moco_v2": ("--metric", "acc", "--variant", "case", "--factors", "MLP,aug+,cos"),
}  # fmt: skip
TABLES = {
    "convnext": (
        "--view", "cumulative", "--columns", "variant,IN-1K acc.,delta,p,GFLOPs", "--digits", "2",
        "--caption", "Modernizing a ResNet-50 (Liu et al. 2022, table 10), tested step by step",
    ),
    "yolox": (
        "--view", "cumulative", "--columns", "variant,AP,delta,parameters,GFLOPs,latency,FPS",
        "--caption", "Roadmap of YOLOX-Darknet53 (Ge et al. 2021, table 2)",
    ),
    "deit": (
        "--view", "matrix", "--columns", f"variant,pre-training,fine-tuning,{DEIT},top1_224,top1_384",
        "--caption", "Training methods of DeiT on ImageNet (Touvron et al. 2021, table 8)",
    ),
    "moco_v2": (
        "--view", "matrix", "--columns", "variant,MLP,aug+,cos,acc",
        "--caption", "MoCo baselines, ImageNet linear classification (Chen et al. 2020, table 1)",
    ),
}  # fmt: skip


def ablate(database, *words):
    """The exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["--quiet", "--db", str(database), *words])
    return ended.value.code


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    made = tmp_path_factory.mktemp("published") / "published.db"
    for name, columns in IMPORTS.items():
        file = str(FOLDER / f"{name}.csv")
        assert 0 == ablate(made, "import", file, "--study", name, "--better", "higher", *columns)
    return made


def made(database, name, ending, folder):
    """The published table as `ablate table` makes it, up to its notes."""
    file = folder / f"{name}.{ending}"
    assert 0 == ablate(database, "table", name, *TABLES[name], "-o", str(file))
    return file.read_text().partition(NOTES[ending])[0] + "\n"


@pytest.mark.parametrize("ending", NOTES)
@pytest.mark.parametrize("name", TABLES)
def test_a_published_ablation_comes_out_as_the_committed_table(database, name, ending, tmp_path):
    assert (FOLDER / f"{name}.{ending}").read_text() == made(database, name, ending, tmp_path)


def test_the_tables_hold_the_papers_numbers(database):
    """Of each paper's own table a line, word for word as it is printed there."""
    convnext, yolox, deit, moco = ((FOLDER / f"{name}.md").read_text() for name in TABLES)
    assert ["+ separate d.s. conv", "81.97 ± 0.06", "4.49"] == [cells(convnext, "+ separate")[i] for i in (0, 1, 4)]
    assert ["+ multi positives", "45.0", "+2.1", "63.72", "185.3", "11.1", "90.1"] == cells(yolox, "+ multi positives")
    ticks = ["", "", "✓", "", "✓", "", "✓", "✓", "✓", "", ""]
    assert ["- CutMix", *ticks, "80.0", "80.6"] == cells(deit, "- CutMix")
    assert ["(d) ‡", "✓", "✓", "✓", "67.5"] == cells(moco, "(d)")


def cells(text, name):
    line = next(line for line in text.splitlines() if line.startswith(f"| {name}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_one_run_each_makes_nothing_bold():
    for name in ("yolox", "deit", "moco_v2"):
        assert "textbf" not in (FOLDER / f"{name}.tex").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("program", ["pdflatex", "lualatex"])
@pytest.mark.parametrize("name", TABLES)
def test_the_tables_compile(database, name, program, tmp_path):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: apt-get install texlive-latex-recommended texlive-luatex")
    assert 0 == ablate(database, "table", name, *TABLES[name], "--standalone", "-o", str(tmp_path / "t.tex"))
    command = [program, "-halt-on-error", "-interaction=nonstopmode", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert 0 == done.returncode, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


if __name__ == "__main__":  # make the committed tables anew, in a database of their own
    scratch = Path(sys.argv[1])
    for study, columns in IMPORTS.items():
        asked = ("--study", study, "--better", "higher", "--replace", *columns)
        ablate(scratch / "published.db", "import", str(FOLDER / f"{study}.csv"), *asked)
        for kind in NOTES:
            (FOLDER / f"{study}.{kind}").write_text(made(scratch / "published.db", study, kind, scratch))
