"""What finished runs got right is found out from their weights, bit for bit as it would have been kept, or refused."""

from pathlib import Path

import pytest
import torch

from ablate.registry import Registry
from ablate.runs import examples, saving
from ablate.runs.planned import find, specs
from ablate.store.store import Store
from ablate.training.task import Run

STUDY = """
base:
  model: {name: vgg, width: 2, stages: 1, depth: 1}
  data: {name: synthetic, classes: 3, train_size: 60, dev_size: 30}
  epochs: 3
  batch_size: 20
  optimizer: {name: sgd, lr: 0.2}
tricks:
  views: {use: test_time_augmentation}
designs: add_one_in
seeds: 1
metric: {name: dev_accuracy, better: higher, at: AT}
"""


@pytest.fixture(params=["last", "best"])
def done(request, tmp_path):
    """A finished study without examples, and what its runs would have told of them."""
    file, db = tmp_path / "mine.yaml", str(tmp_path / "a.db")
    file.write_text(STUDY.replace("AT", request.param))
    planned = find(str(file), db)
    told = {}
    with Store.open(db, write=True) as store:
        saving.save(planned, store)
        for slot, spec in enumerate(specs(planned, store.folder).values()):
            run = Run(spec, Registry())
            run.folder.mkdir(parents=True)
            store.claim(
                spec.key,
                spec.key,
                host="h",
                boot="b",
                owner="1:1",
                log=spec.folder,
                lease_s=30.0,
                device="cpu",
                slot=slot,
            )
            for step, values in enumerate(planned.task.execute(run), 1):
                store.progress([(spec.key, step, values)])
            store.finish(spec.key, values, {}, {})
            told[spec.key] = run.per_example
    return planned, db, told


def kept(db, told):
    with Store.open(db) as store:
        return {
            (of.run, metric, at): (of.examples, of.column)
            for metric in ("dev_accuracy", "dev_loss")
            for at in ("last", "best")
            for of in store.examples(list(told), metric, at)
        }


def test_examples_are_found_out_from_weights_as_the_run_would_have_told_them(done):
    planned, db, told = done
    found = examples.fill(planned, db)
    assert (0, 2, {}) == (found.there, found.found, found.refused)
    expected = {(key, c.metric, c.at): (each.fingerprint, c) for key, each in told.items() for c in each.columns}
    assert expected == kept(db, told)
    assert (2, 0, {}) == ((again := examples.fill(planned, db)).there, again.found, again.refused)


def test_weights_that_were_exchanged_are_refused_by_name_and_those_that_are_gone_are_counted(done):
    planned, db, told = done
    base, views = told
    with Store.open(db) as store:
        folders = [Path(specs(planned, store.folder)[key].folder) for key in (base, views)]
    for name in examples.FILES.values():
        weights = torch.load(folders[0] / name, weights_only=True) if (folders[0] / name).is_file() else {}
        torch.save({name: 0 * tensor for name, tensor in weights.items()}, folders[0] / name)
        (folders[1] / name).unlink(missing_ok=True)
    found = examples.fill(planned, db)
    assert (0, 0, 1) == (found.there, found.found, found.without)
    assert "base:0" in found.refused
    assert "other weights than were measured, or the data are others now: their mean is" in found.refused["base:0"]
    assert {} == kept(db, told)
