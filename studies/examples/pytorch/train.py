"""Classify handwritten digits with a small network: a PyTorch loop with argparse."""

import argparse
import csv
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1, help="step size")
parser.add_argument("--epochs", type=int, default=15)
parser.add_argument("--mixup", type=float, default=0.0, help="alpha of the mixing of images; 0 is off")
parser.add_argument("--model-ema", action="store_true", help="evaluate an average of the weights")
parser.add_argument("--output", type=Path, default=Path("output"), help="folder of the numbers")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
digits = load_digits()
images, labels = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)
train, test = torch.arange(300), torch.arange(300, len(labels))
model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95)) if args.model_ema else model
optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)

args.output.mkdir(parents=True, exist_ok=True)
with (args.output / "summary.csv").open("w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["epoch", "train_loss", "eval_loss", "eval_top1"])
    for epoch in range(1, args.epochs + 1):
        for batch in train[torch.randperm(len(train))].split(32):
            x, y = images[batch], nn.functional.one_hot(labels[batch], 10).float()
            if args.mixup:
                share = torch.distributions.Beta(args.mixup, args.mixup).sample()
                other = torch.randperm(len(batch))
                x, y = share * x + (1 - share) * x[other], share * y + (1 - share) * y[other]
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if args.model_ema:
                average.update_parameters(model)
        with torch.no_grad():
            scores = average(images[test])
        eval_loss = nn.functional.cross_entropy(scores, labels[test]).item()
        top1 = 100 * (scores.argmax(1) == labels[test]).float().mean().item()
        table.writerow([epoch, loss.item(), eval_loss, top1])
        file.flush()
