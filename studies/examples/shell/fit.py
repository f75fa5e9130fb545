"""Logistic regression in NumPy on points with many useless columns."""

import argparse

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--decay", type=float)
parser.add_argument("--steps", type=int)
parser.add_argument("--seed", type=int)
parser.add_argument("--nesterov", action="store_true")
args = parser.parse_args()

rng = np.random.default_rng(args.seed)
truth = np.concatenate([rng.normal(size=5), np.zeros(45)])


def sample(count):
    x = rng.normal(size=(count, 50))
    return x, (x @ truth + rng.normal(size=count) > 0).astype(float)


def loss(weights, x, y):
    return np.mean(np.logaddexp(0, x @ weights) - y * (x @ weights))


(x, y), held_out = sample(100), sample(2000)
weights = velocity = np.zeros(50)
for step in range(1, args.steps + 1):
    at = weights + 0.9 * velocity if args.nesterov else weights
    gradient = x.T @ (1 / (1 + np.exp(-x @ at)) - y) / len(y) + args.decay * at
    velocity = 0.9 * velocity - args.lr * gradient if args.nesterov else -args.lr * gradient
    weights = weights + velocity
    if step % 10 == 0:
        print(f"step {step}: train loss {loss(weights, x, y):.5f}, val loss {loss(weights, *held_out):.5f}")
