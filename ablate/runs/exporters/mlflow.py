"""mlflow: a run for each run, in the experiment that is called as the study; `--to mlflow sqlite:///mlflow.db`.

Verdicts are tags, renewed by every export. MLflow keeps parameters as texts and numbers as doubles.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from ablate.runs.exporter import Exported, Exporter

_KEY = "ablate.key"
_MOST = 900
"""Of metrics in one request; MLflow takes 1,000."""


@dataclass(frozen=True)
class MlFlow(Exporter):
    needs: ClassVar[str] = "mlflow"

    def complete(self, place: str, study: str) -> Collection[str]:
        return [run.data.tags[_KEY] for run in _runs(place, study) if run.info.status == "FINISHED"]

    def write(self, place: str, run: Exported) -> None:
        from mlflow.entities import Metric, Param, RunTag

        client = _client(place)
        for left in _runs(place, run.study, run.key):  # of an export that was interrupted
            client.delete_run(left.info.run_id)
        at_ms = int(1000 * run.at_s)
        tags = {_KEY: run.key, "ablate.variant": run.variant, "ablate.seed": str(run.seed), **_tags(run)}
        made = client.create_run(_experiment(client, run.study), at_ms, run_name=run.name, tags=tags)
        params = [Param(_name(name), str(value)[:6000]) for name, value in run.config.items()]
        last = max((step for step, _ in run.by_step), default=0)
        curves = [Metric(_name(n), v, at_ms + step, step) for step, values in run.by_step for n, v in values.items()]
        finals = [Metric(f"final/{_name(name)}", value, at_ms + last, last) for name, value in run.values.items()]
        metrics = [*curves, *finals]
        client.log_batch(made.info.run_id, (), params[:100], [RunTag("ablate.study", run.study)])
        for start in range(100, len(params), 100):
            client.log_batch(made.info.run_id, (), params[start : start + 100])
        for start in range(0, len(metrics), _MOST):
            client.log_batch(made.info.run_id, metrics[start : start + _MOST])
        client.set_terminated(made.info.run_id, "FINISHED", at_ms + last)

    def tag(self, place: str, run: Exported) -> None:
        client = _client(place)
        for there in _runs(place, run.study, run.key):
            for name, text in _tags(run).items():
                if there.data.tags.get(name) != text:
                    client.set_tag(there.info.run_id, name, text)


def _client(place: str) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=place)


def _experiment(client: Any, study: str) -> str:
    there = client.get_experiment_by_name(study)
    return str(client.create_experiment(study) if there is None else there.experiment_id)


def _runs(place: str, study: str, key: str = "") -> Iterator[Any]:
    """Those of ours, of one key where one is given."""
    client = _client(place)
    there = client.get_experiment_by_name(study)
    token = None
    wanted = f"tags.`{_KEY}` = '{key}'" if key else f"tags.`{_KEY}` LIKE '%'"
    while there is not None:
        page = client.search_runs([there.experiment_id], wanted, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _tags(run: Exported) -> dict[str, str]:
    return {f"ablate.{name}": text for name, text in run.tags.items()}


def _name(name: str) -> str:
    """A name that MLflow takes."""
    return re.sub(r"[^\w\-. :]", "_", name)[:250]
