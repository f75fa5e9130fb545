"""Fit a wave with a small network: settings by tyro, numbers to TensorBoard."""

import time
from dataclasses import dataclass

import torch
import tyro
from torch import nn
from torch.utils.tensorboard import SummaryWriter


@dataclass
class Args:
    seed: int = 0
    log_dir: str = "runs"
    """folder of the event files"""
    steps: int = 400
    learning_rate: float = 3e-3
    fourier: int = 0
    """how many frequencies the input is turned into; 0 is off"""
    cosine: bool = False
    """let the step size fall to 0 along a cosine"""


args = tyro.cli(Args)
torch.manual_seed(args.seed)
x = torch.rand(256, 1)
y = torch.sin(12 * x) * x + 0.1 * torch.randn(256, 1)
grid = torch.linspace(0, 1, 500)[:, None]


def features(x):
    waves = [f(k * torch.pi * x) for k in range(1, args.fourier + 1) for f in (torch.sin, torch.cos)]
    return torch.cat([x, *waves], 1)


model = nn.Sequential(nn.Linear(1 + 2 * args.fourier, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=args.learning_rate)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.steps) if args.cosine else None
writer, start = SummaryWriter(args.log_dir), time.time()
for step in range(1, args.steps + 1):
    loss = nn.functional.mse_loss(model(features(x)), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if schedule is not None:
        schedule.step()
    if step % 40 == 0:
        with torch.no_grad():
            error = nn.functional.mse_loss(model(features(grid)), torch.sin(12 * grid) * grid)
        writer.add_scalar("losses/train", loss, step)
        writer.add_scalar("losses/test", error, step)
        writer.add_scalar("charts/SPS", step / (time.time() - start), step)
writer.close()
