"""A stored study of four variants for tests of what is said of one: names that are markup, and a run that failed."""

import json

from ablate.store.store import Store
from ablate.study.record import PlanRecord

HOSTILE = '<script>alert(1)</script>\' onload="x" $x^2$ \\input{/etc/passwd} #read("/etc/passwd") _*`'[:64]
QUESTION = "Does <b>it</b> help? It was asked for a course."
VGG = {"name": "vgg", "width": 16, "norm": "none"}
CODE = {"loop": 1, "model:vgg": 1, "data:digits": 1, "trick:mixup": 1}
MADE_WITH = {"torch": "2.9.0", "numpy": "2.1.0", "python": "3.12.1", "processor": "a kind of CPU", "ablate": "ab" * 32}


def variant(name, *tricks, **more):
    config = {
        "model": {**VGG, "norm": "batch" if "norm" in tricks else "none"},
        "data": {"name": "digits", "root": "/home/me/data"},
        "epochs": 4,
    }
    uses = [["mixup", {"alpha": 0.2}]] if HOSTILE in tricks else []
    return {"name": name, "tricks": list(tricks), "designs": ["leave_one_out"], "config": config, "uses": uses, **more}


def resolved(**more):
    """The stored plan of a leave-one-out of two tricks, one with a hostile name."""
    rows = [("full", None), ("full-norm", "full"), ("full-h", "full"), ("base", "full")]
    differs = {"full": [], "full-norm": ["norm"], "full-h": [HOSTILE], "base": ["norm", HOSTILE]}
    trick = {"label": "", "levels": []}
    return {
        "study": "demo", "question": QUESTION, "task": "classify", "analysis": {}, "baseline": "base",
        "seeds": [0, 1, 2], "also": {"dev_loss": "lower"}, "file": "/tmp/somewhere/demo.yaml",
        "metric": {"name": "dev_accuracy", "better": "higher", "at": "last", "minimum_effect": 0.5},
        "overrides": ["data.root=/home/me/data", "epochs=4"],
        "tricks": [
            {**trick, "name": "norm", "label": "batch norm", "category": "batchnorm"},
            {**trick, "name": HOSTILE, "category": "augmentation"},
        ],
        "variants": [
            variant("full", "norm", HOSTILE), variant("full-norm", HOSTILE), variant("full-h", "norm"), variant("base"),
        ],
        "rows": [
            {"design": "leave_one_out", "variant": v, "compared_with": c, "differs": differs[v], "label": v} for v, c in rows
        ],
        "left_out": [], "notes": [], "registered": {"known": 0, "added": {}, "dropped": {}, "changed": []},
    } | more  # fmt: skip


VALUES = {
    "full": [90.0, 90.4, 89.9],
    "full-norm": [80.1, 80.3, 80.0],
    "full-h": [90.05, 90.3, 89.95],
    "base": [79, 79.5, "oom"],
}
"""By seed: dev_accuracy, or why the run failed; None: not done."""


def fill(path, plan=None, values=VALUES, host="h", text="# Does it help?\nstudy: demo\n"):
    """A database with the study and its runs."""
    plan = plan or resolved()
    asked = {}
    cells = []
    for i in range(max(map(len, values.values()))):
        for name in values:
            key = f"{name}:{i}"
            of = next(v for v in plan["variants"] if v["name"] == name)
            config = {
                "task": plan["task"],
                "config": of["config"],
                "seed": i,
                "threads": 1,
                "data": "d" * 64,
                "code": CODE,
            }
            asked[key] = json.dumps(config)
            cells.append((name, i, "ablation", key))
    with Store.open(path, write=True) as store, store.transaction():
        store.save_plan(PlanRecord.of(plan), text, cells, asked)
        for name, i, _, key in cells:
            value = values[name][i]
            if value is None:
                continue
            token = f"{host}-{key}"
            slot = {"host": host, "boot": "b", "owner": "1:1", "log": "l", "lease_s": 30.0, "device": "cpu", "slot": 0}
            store.claim(key, token, **slot)
            if isinstance(value, str):
                store.fail(token, value, "out of <i>memory</i> at step 3", again=False)
                continue
            for step in range(1, 5):
                store.progress([(token, step, {"dev_accuracy": value * step / 4, "dev_loss": 1 / step})])
            store.finish(token, {"dev_accuracy": value, "dev_loss": 0.25}, {"weights": key}, MADE_WITH)
    return path
