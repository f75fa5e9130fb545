"""A network of which it is known what each part does, on points that are made: what a study of its parts must find.

Two branches, each of which can do what the other does; a block that alone is nonlinear; a part that can only add a
constant, as the head's bias does; and a leak of two of the twenty inputs, so that something is left without branches.
"""

import torch
from torch import nn
from torch.nn import functional as F

INPUTS, CODE, POINTS = 20, 8, {"train": 2000, "dev": 4000}


class Shift(nn.Module):
    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(CODE))

    def forward(self, code):
        return self.shift.expand_as(code)


class Planted(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = (nn.Sequential(nn.Linear(INPUTS, 32), nn.Linear(32, CODE)) for _ in range(2))
        self.leak = nn.Linear(2, CODE)
        self.block = nn.Sequential(nn.Linear(CODE, 32), nn.ReLU(), nn.Linear(32, CODE))
        self.constant = Shift()
        self.head = nn.Linear(CODE, 2)

    def forward(self, inputs):
        code = self.leak(inputs[:, :2]) + (self.one(inputs) + self.other(inputs))
        code = code + self.block(code)
        return self.head(code + self.constant(code))


def points(of):
    """Inputs and classes. The border between the two classes is bent along one direction and straight along another."""
    generator = torch.Generator().manual_seed(list(POINTS).index(of))
    inputs = torch.randn(POINTS[of], INPUTS, generator=generator)
    straight, bent = (part.sum(1) / part.shape[1] ** 0.5 for part in inputs.chunk(2, 1))
    return inputs, (straight + 2 * (bent.relu() - 0.4) > 0).long()


def train(config, run):
    torch.manual_seed(run.seed)
    (inputs, classes), (dev, truth) = points("train"), points("dev")
    model = run.model(Planted(), inputs[:2])
    optimizer = torch.optim.Adam(model.parameters(), config["lr"])
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, config["epochs"])
    order = torch.Generator().manual_seed(run.seed_for("order"))
    for _ in range(config["epochs"]):
        for batch in torch.randperm(len(inputs), generator=order).split(100):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs[batch]), classes[batch]).backward()
            optimizer.step()
        schedule.step()
    with torch.no_grad():
        return {"accuracy": 100 * float((model(dev).argmax(1) == truth).float().mean())}
