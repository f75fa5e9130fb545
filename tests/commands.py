"""A command executed here and now, as a worker would: no server, no database."""

import sys

from ablate.records import RunSpec, TaskUse
from ablate.registry import Registry
from ablate.training.task import Report, Run, resolve


def task_of(folder, command="python train.py {flags}", **keys):
    return resolve(TaskUse("command", {"command": command, **keys}), Registry(), [str(folder)])


class Ran:
    """values: what the run came to. curve: {(name, step): value}. told: its provenance. log: what it printed."""

    def __init__(self, folder, task, config=None, *, seed=0, metric="score", also=(), name="run"):
        own = folder / "runs" / name
        own.mkdir(parents=True, exist_ok=True)
        use, cache = TaskUse("command", {}), str(folder / "cache")
        spec = RunSpec(
            "k",
            use,
            config or {},
            (),
            seed,
            1,
            str(own),
            cache,
            metric=metric,
            also=tuple(also),
            sources=task.sources(),
        )
        self.run, self.folder, self.curve = Run(spec, Registry()), own, {}
        steps = task.execute(self.run)
        try:
            while True:
                given = next(steps)
                assert isinstance(given, Report)
                self.curve |= {(metric, given.number): value for metric, value in given.values.items()}
        except StopIteration as end:
            self.values = dict(end.value)
        self.told = self.run.provenance

    @property
    def log(self):
        return (self.folder / "log.txt").read_text()


PYTHON = sys.executable
