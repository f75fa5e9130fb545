"""Noisy linear regression by stochastic gradient descent in NumPy; it prints how far it is from the truth."""

import argparse

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--momentum", type=float, default=0.0)
parser.add_argument("--averaging", action="store_true", help="use the average of all weights")
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

rng = np.random.default_rng(args.seed)
truth = rng.normal(size=20)
inputs = rng.normal(size=(400, 20)) * np.linspace(1, 3, 20)
targets = inputs @ truth + rng.normal(size=400)

weights, velocity, average, steps = np.zeros(20), np.zeros(20), np.zeros(20), 0
for epoch in range(1, args.epochs + 1):
    for batch in rng.permutation(400).reshape(-1, 20):
        gradient = inputs[batch].T @ (inputs[batch] @ weights - targets[batch]) / 20
        velocity = args.momentum * velocity + gradient
        weights -= args.lr * velocity
        steps += 1
        average += (weights - average) / steps
    distance = np.linalg.norm((average if args.averaging else weights) - truth)
    print(f"epoch {epoch}/{args.epochs} | distance: {distance:.6f}")
