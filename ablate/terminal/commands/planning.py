"""The command that says what would be trained: plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablate.errors import AblateError
from ablate.terminal.options import Set, StudyArgument, Terminal, check_choice, print_json

if TYPE_CHECKING:
    from ablate.runs.planned import Planned
    from ablate.store.reader import Reader

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
    from ablate.runs import execute, progress, weights
    from ablate.runs.planned import find
    from ablate.store.store import Store
    from ablate.terminal.printed import adaptive_notes, summary

    terminal = Terminal.of(context)
    check_choice("--format", format_, ("text", "json"))
    budget_s = None if budget is None else _seconds(budget)
    planned = find(study, terminal.db, set_ or ())
    slots = execute.slots_for(planned.study, execute.Options())
    with Store.if_there(terminal.db) as store:
        changes = [*progress.not_reused(planned, store), *weights.told(planned, store)]
        states, seconds, saved = progress.known_states(planned.plan, store)
        answers = _before_spending(planned, store, power, sd, budget_s, len(slots))
    counts = progress.count(planned.plan, states, seconds, len(slots), saved)
    changes += adaptive_notes(planned, counts)
    if format_ == "json":
        extra = {name: answer.records for name, answer in answers.items()}
        print_json({**_plan_json(planned, states, counts, changes, saved), **extra})
        return
    if answers:
        print("\n\n".join(map(str, answers.values())))
        return
    print(f"{planned.study.name}: {summary(planned, counts, slots)}")
    print(_plan_text(planned, changes))


def _seconds(budget: str) -> float:
    from ablate.study.form import seconds_of

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


def _plan_json(planned: Planned, states: Any, counts: Any, changes: list[str], saved: Any) -> dict[str, Any]:
    plan = planned.plan
    state_of = {key: state.state for key, state in states.items()} | dict.fromkeys(saved, "saved")
    return {
        "study": plan.study.name,
        "variants": [
            {"name": v.name, "tricks": list(v.tricks), "designs": list(v.designs), "config": v.completed.config}
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
        "notes": [*changes, *plan.study.notes, *plan.notes, *plan.left_out],
    }


def _plan_text(planned: Planned, changes: list[str]) -> str:
    from tabulate import tabulate

    rows = [
        [row.design, row.variant, row.compared_with or "(reference)", ", ".join(row.differs)]
        for row in planned.plan.rows
    ]
    text = tabulate(rows, headers=["design", "variant", "compared with", "differs in"], disable_numparse=True)
    notes = [
        *changes,
        *planned.study.notes,
        *planned.plan.notes,
        *(f"left out: {line}" for line in planned.plan.left_out),
    ]
    return "\n".join([text, *([""] if notes else []), *(f"- {note}" for note in notes)])
