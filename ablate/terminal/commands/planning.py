"""The command that says what would be trained: plan."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablate.errors import AblateError
from ablate.terminal.options import Set, StudyArgument, Terminal, check_choice, print_json

if TYPE_CHECKING:
    from ablate.runs.planned import Planned
    from ablate.store.reader import Reader
    from ablate.terminal.printed import Foretold

app = typer.Typer()


@app.command()
def plan(
    context: typer.Context,
    study: StudyArgument = None,
    set_: Set = None,
    power: Annotated[
        bool, typer.Option("--power", help="Print the smallest effect that each comparison can show.")
    ] = False,
    sd: Annotated[
        float | None,
        typer.Option(min=1e-12, metavar="SD", help="For --power: the sd of a difference. [default: as measured]"),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="Print which design and seeds fit into 90s, 15m or 6h.")
    ] = None,
    format_: Annotated[str, typer.Option("--format", metavar="text|json")] = "text",
) -> None:
    """Print what `run` would train, and what it would not.

    Variants and what each is compared with, runs, how many are done already, what is left out and why.
    --power and --budget: what that can show and what fits, from the results and run times that are stored.

    ablate plan studies/batchnorm.yaml
    """
    from ablate.runs.planned import find
    from ablate.store.store import Store
    from ablate.terminal.printed import FORETOLD, Foretold

    terminal = Terminal.of(context)
    check_choice("--format", format_, ("text", "json"))
    budget_s = None if budget is None else _seconds(budget)
    planned = find(study, terminal.db, set_ or ())
    foretold = Foretold.of(planned, terminal.db)
    with Store.if_there(terminal.db) as store:
        answers = _before_spending(planned, store, power, sd, budget_s, len(foretold.slots))
    if format_ == "json":
        extra = {name: answer.records for name, answer in answers.items()}
        print_json({**_plan_json(foretold), **extra})
        return
    if answers or not sys.stdout.isatty():
        print("\n\n".join(map(str, answers.values())) if answers else foretold)
        return
    from ablate.terminal import columns

    columns.put(partial(columns.listing, foretold.head, FORETOLD, foretold.rows, foretold.notes))


def _seconds(budget: str) -> float:
    from ablate.study.values import seconds_of

    try:
        return seconds_of(budget)
    except ValueError as error:
        raise AblateError(f"--budget is {budget!r}; {error}.") from None


def _before_spending(
    planned: Planned, store: Reader | None, power: bool, sd: float | None, budget_s: float | None, workers: int
) -> dict[str, Any]:
    """What --power and --budget answer, by name."""
    if not power and budget_s is None:
        return {}
    from ablate.runs import budget

    answers = {"power": budget.power_of(planned, store, sd)} if power else {}
    return answers if budget_s is None else answers | {"budget": budget.budget_of(planned, store, budget_s, workers)}


def _plan_json(foretold: Foretold) -> dict[str, Any]:
    plan, counts, state_of = foretold.planned.plan, foretold.counts, foretold.states
    return {
        "study": plan.study.name,
        "variants": [
            {"name": v.name, "tricks": list(v.tricks), "designs": list(v.designs), "config": v.completed.config}
            | ({"setting": v.setting} if v.setting else {})
            for v in plan.variants
        ],
        "runs": [
            {
                "key": run.key or None,
                "variant": run.variant,
                "seed": run.seed,
                "state": state_of.get(run.key, "todo") if run.key else "pending",
            }
            for run in plan.runs
        ],
        "counts": {"total": counts.total, "done": counts.done, "failed": counts.failed, "todo": counts.todo}
        | ({"saved": counts.saved, "least": counts.least} if "looks" in plan.study.analysis else {}),
        "estimate_seconds": counts.seconds,
        "notes": [*foretold.changes, *plan.study.notes, *plan.notes, *plan.left_out],
    }
