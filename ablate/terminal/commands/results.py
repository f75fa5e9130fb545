"""The commands that carry results in and out: import, export, predict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ablate.errors import AblateError
from ablate.records import Better
from ablate.terminal.options import Output, Set, StudyArgument, Terminal, check_choice, kind_of
from ablate.text import many, one_of

if TYPE_CHECKING:
    from ablate.store.reader import Reader

app = typer.Typer()


def _column(name: str, what: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(f"--{name}", metavar="COL", help=what)
    return option


def _direction(also: str) -> tuple[str, Better]:
    name, _, better = also.rpartition(":")
    if better not in ("higher", "lower"):
        raise AblateError(f"--also is {also!r}; it must be a column and its better direction, such as gflops:lower.")
    return name, cast(Better, better)


@app.command(name="import")
def import_(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help="Comma-separated, its first line the columns' names.")
    ],
    study: Annotated[str, typer.Option(metavar="NAME", help="What the study is to be called.")],
    metric: Annotated[
        list[str],
        _column(
            "metric", "The metric, and the column of its values unless --mean names it. Given again: a further one."
        ),
    ],
    better: Annotated[
        list[str], typer.Option(metavar="higher|lower", help="Which way the metric is better; once for each --metric.")
    ],
    variant: Annotated[str | None, _column("variant", "Labels: what equals what.")] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help="What the others are compared with, or the level of a factor that is off: COL=LEVEL,... "
            "[default: base, else the first]",
        ),
    ] = None,
    factors: Annotated[
        str | None,
        typer.Option(
            metavar="COL,COL,...",
            help="A column per trick: 0/1, or 0 and the level's name. With --variant, too, labels name the lines.",
        ),
    ] = None,
    empty: Annotated[
        str | None, typer.Option(metavar="WORD", help="What an empty label or factor means, such as none.")
    ] = None,
    seed: Annotated[str | None, _column("seed", "Seeds that variants share; without it nothing is paired.")] = None,
    state: Annotated[str | None, _column("state", "How each run ended: finished, crashed, running, ...")] = None,
    mean: Annotated[str | None, _column("mean", "One line per variant: its mean, ...")] = None,
    sd: Annotated[str | None, _column("sd", "... its standard deviation, empty where n is 1, ...")] = None,
    se: Annotated[str | None, _column("se", "... or its standard error, ...")] = None,
    ci: Annotated[str | None, _column("ci", "... or its 95 % interval: one side of it, or both ends, ...")] = None,
    n: Annotated[
        str | None, typer.Option("--n", metavar="COL|NUMBER", help="... and its number of runs, in a column or of all.")
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(metavar="COL:higher|lower", help="A further metric. May be given again; its cells may be empty."),
    ] = None,
    minimum_effect: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="The smallest difference that matters.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="COL=WORD", help="Only lines with this word in this column. May be given again."),
    ] = None,
    comments: Annotated[
        bool, typer.Option("--comments", help="Lines that begin with # are comments below the header, too.")
    ] = False,
    examples: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What each run made of each example: a line for each, named by `id`."),
    ] = None,
    across: Annotated[
        str | None, _column("across", "In which setting (data set, network) a run stands; seeds pair within one.")
    ] = None,
    limits: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[SETTING=]WORST:BEST",
            help="With --across: what counts as 0 and as 1 in `table --view iqm`. May be given again.",
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the study of that name.")] = False,
) -> None:
    """Bring runs that were trained elsewhere into a study.

    table, its views, export and figures work on them. Lines above the header that begin with # are comments; a bad cell
    is an error with its line and column, and then nothing is imported. A run without a number comes in as failed.

    ablate import runs.csv --study mine --metric dev_accuracy --better higher --variant variant --seed seed
    """
    from ablate.runs import example_files, importer
    from ablate.runs.columns import Columns
    from ablate.store.store import Store

    terminal = Terminal.of(context)
    first, *others = _metrics(metric, better)
    listed = tuple(name.strip() for name in factors.split(",")) if factors else ()
    further = {**dict(others), **dict(map(_direction, also or ()))}
    columns = Columns(
        *first, variant, baseline, listed, seed, mean, sd, n, further, comments, se, ci, state,
        tuple(map(_condition, where or ())), empty, minimum_effect, across, dict(map(_scale, limits or ())),
    )  # fmt: skip
    imported = importer.read_file(file, columns)
    told = None if examples is None else example_files.read(examples, columns, imported.results)
    with Store.open(terminal.db, write=True) as store:
        importer.save(imported, store, study, columns, replace=replace)
        example_files.keep(told or {}, store, study)
    terminal.say(imported.summary(study))
    if told is not None:
        terminal.say(f"{many(len(told), 'run')} of {len(imported.results)} with results for each example.")


def _metrics(names: list[str], better: list[str]) -> list[tuple[str, Better]]:
    """Every metric with its better direction."""
    for given in better:
        check_choice("--better", given, ("higher", "lower"))
    if len(names) != len(better):
        raise AblateError(
            f"--metric is given {many(len(names), 'time')} and --better {many(len(better), 'time')}; each metric has "
            "its own, in the same order."
        )
    return [(name, cast(Better, given)) for name, given in zip(names, better, strict=True)]


def _condition(where: str) -> tuple[str, str]:
    name, equals, word = where.partition("=")
    if not equals or not name:
        raise AblateError(f"--where is {where!r}; it must be a column and a word in it, such as dataset=cifar10.")
    return name, word


def _scale(limits: str) -> tuple[str, tuple[float, float]]:
    """A setting, or none for all, and its two limits."""
    setting, _, pair = limits.rpartition("=")
    try:
        worst, best = (float(one) for one in pair.split(":"))
    except ValueError:
        wrong = f"--limits is {limits!r}; it must be two numbers, the worse first, such as 0:100 or pong=-20.7:14.6."
        raise AblateError(wrong) from None
    return setting, (worst, best)


@app.command()
def export(
    context: typer.Context,
    study: StudyArgument = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", metavar="csv|json", help="[default: by the file's ending, else csv]"),
    ] = None,
    output: Output = None,
    to: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="TOOL PLACE", help="Into another tool: tensorboard DIR, mlflow URI, wandb DIR or trackio DIR."
        ),
    ] = None,
    code: Annotated[
        Path | None,
        typer.Option("--code", metavar="FILE.zip", help="Not the runs, but what makes them: see below."),
    ] = None,
    epochs: Annotated[bool, typer.Option("--epochs", help="A line for each run and epoch: its curves.")] = False,
    evidence: Annotated[
        Path | None,
        typer.Option("--evidence", metavar="FILE.zip", help="Every attempt, table and figure, for `ablate verify`."),
    ] = None,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="With --evidence: no host, user, path or commit, for a blind review.")
    ] = False,
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without", metavar="WORD", help="With --anonymous: take this name out, too. May be given again."
        ),
    ] = None,
    spreadsheet: Annotated[
        bool, typer.Option("--spreadsheet", help="Quote names that begin like a formula (= + - @).")
    ] = False,
    examples: Annotated[
        bool, typer.Option("--examples", help="As CSV a line for each run and example: what it said, right or wrong.")
    ] = False,
) -> None:
    """Print every run of a study, or pack it, or bring it elsewhere.

    One line a run, for a spreadsheet or your own analysis. With --code: the study file, the code and weights that it
    names, the installed versions, ablate itself, a README with every command and a notebook that runs them all (in
    Colab, too); data are not packed, and what another machine would not find is told. With --evidence: the study's own
    database, every table and figure made from it, and a manifest of hashes; `ablate verify FILE.zip` derives them
    again. With --to: every finished run that is not there yet, its curves and verdicts.

    ablate export batchnorm --format csv -o runs.csv
    """
    from ablate.reports import evidence as bundle
    from ablate.runs import example_files, export, packed
    from ablate.store.store import Store

    terminal = Terminal.of(context)
    plain = (format_, to, code, evidence) == (None,) * 4 and not examples and output is not None and output.suffix
    kind = kind_of(output if plain else None, format_, {"csv": ".csv", "json": ".json"}, "csv")
    for option, file in (("--code", code), ("--evidence", evidence)):
        if file is not None and file.suffix.lower() != ".zip":
            raise AblateError(f"{option} writes a .zip, and {str(file)!r} is called otherwise.")
    if (anonymous or without) and evidence is None:
        raise AblateError("--anonymous and --without are for --evidence FILE.zip.")
    if without and not anonymous:
        raise AblateError("--without takes names out of anonymous evidence; give --anonymous, too.")
    with Store.open(terminal.db) as store:
        stored = terminal.found(store, study)
        if to is not None:
            print(_sent(store, stored.name, *to))
            return
        content: str | bytes
        if evidence is not None:
            words = tuple(without or ())
            content = bundle.packed(store, stored.name, anonymous=anonymous, more=words, say=terminal.say)
            output = evidence
        elif code is not None:
            whole = packed.packed(stored, store.test_uses(stored.name))
            content = whole.content
            for sentence in whole.told:
                terminal.say(f"note: {sentence}")
        elif examples:
            content = example_files.text(store, stored.name)
        else:
            content = export.text(store, stored.name, kind, spreadsheet=spreadsheet, epochs=epochs)
    terminal.write(content, output if code is None else code)
    if evidence is not None and isinstance(content, bytes):
        terminal.say(f"SHA-256 of its manifest, for the paper: {bundle.fingerprint(content)}")


def _sent(store: Reader, study: str, tool: str, place: str) -> str:
    from ablate.registry import Registry
    from ablate.runs import exporter

    registry = Registry()
    check_choice("--to", tool, registry.names("exporters"))
    sent = exporter.send(store, study, registry.make("exporters", tool, {}), place)
    there = f", {sent.there} were there" if sent.there else ""
    return f"{study}: wrote {many(sent.written, 'run')} to {place}{there}."


@app.command()
def predict(
    context: typer.Context,
    study: StudyArgument = None,
    variant: Annotated[str, typer.Option(help="A variant's name, or best: by the table's own rule, on dev.")] = "best",
    seed: Annotated[int | None, typer.Option(help="One seed. [default: the mean over all finished seeds]")] = None,
    sample: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The competition's sample submission: header, ids and their order."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE")] = Path("submission.csv"),
    check: Annotated[
        Path | None,
        typer.Option(
            "--check",
            metavar="SAMPLE",
            help="Predict nothing: hold the output file against a sample (with --sample, too: this one against that).",
        ),
    ] = None,
    ids: Annotated[
        str | None,
        typer.Option(
            metavar="stem|number|from-1",
            help="How the sample's ids mean the test images: without their ending, as numbers, or counted from 1.",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(metavar="numbers|from-1|names", help="How classes are written, where the sample does not tell."),
    ] = None,
    set_: Set = None,
) -> None:
    """Predict the test set and write the submission file.

    With the best variant on dev, in the order of the sample submission. Every use of the test set is recorded.

    ablate predict course_cifar10_subset --sample sample_submission.csv -o submission.csv
    """
    from ablate.runs import submission

    terminal = Terminal.of(context)
    if ids is not None:
        check_choice("--ids", ids, tuple(submission.IDS))
    if labels is not None:
        check_choice("--labels", labels, submission.LABELS)
    if check is not None:
        classes = submission.classes_of(study, terminal.db, set_ or ())
        file, against = (output, check) if sample is None else (check, sample)
        if file.resolve() == against.resolve():
            raise AblateError(
                f"{file} is held against itself: --check names the competition's sample, -o the file that is checked "
                "(submission.csv unless given).",
                page="course-brief",
            )
        wrong = submission.check(file, submission.read_sample(against), classes, labels)
        if wrong:
            raise AblateError("\n".join(wrong), page="course-brief")
        print(f"{file} fits {against}{'' if classes else '; no study says which classes there are'}")
        return
    from ablate.analysis import results
    from ablate.analysis.tuned import TUNED
    from ablate.runs.planned import find
    from ablate.store.store import Store

    terminal.before_writing()
    planned = find(study, terminal.db, set_ or ())
    expected = submission.read_sample(sample) if sample else None
    with Store.open(terminal.db, write=True) as store:
        loaded = results.load(store, planned.study.name)
        chosen = submission.choose(loaded, variant)
        submitted = submission.predict(planned, store, chosen, seed, expected, ids, labels)
        terminal.write(submitted.text, output)
        before = store.save_test_use(planned.study.name, submitted.variant, submitted.seeds, submitted.sha)
    seeds = (
        f"seed {submitted.seeds[0]}"
        if len(submitted.seeds) == 1
        else f"the mean of seeds {', '.join(map(str, submitted.seeds))}"
    )
    if variant == "best" and loaded.tuned_rows:
        tuned = one_of(row.variant for row in loaded.tuned_rows if row.design == TUNED and row.compared_with)
        terminal.say(f"best looks at untuned rows only; --variant also takes {tuned}.")
    terminal.say(f"{submitted.rows} rows by {submitted.variant}, {seeds}, {submitted.weights} weights.")
    if before:
        terminal.say(
            f"The test set of this study has now been predicted {before + 1} times; a choice among them is no test."
        )
