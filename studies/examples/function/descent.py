"""Noisy linear regression as a function that ablate calls: `main(config, run)` yields a number a step."""

import numpy as np


def main(config, run):
    rng = np.random.default_rng(run.seed_for("data"))  # a stream of its own: equal for every variant
    truth = rng.normal(size=20)
    inputs = rng.normal(size=(400, 20)) * np.linspace(1, 3, 20)
    targets = inputs @ truth + rng.normal(size=400)

    order = np.random.default_rng(run.seed_for("order"))
    weights, velocity, average, steps = np.zeros(20), np.zeros(20), np.zeros(20), 0
    for _ in range(config["epochs"]):
        for batch in order.permutation(400).reshape(-1, 20):
            gradient = inputs[batch].T @ (inputs[batch] @ weights - targets[batch]) / 20
            velocity = config["momentum"] * velocity + gradient
            weights = weights - config["lr"] * velocity
            steps += 1
            average += (weights - average) / steps
        yield {"distance": float(np.linalg.norm((average if config["averaging"] else weights) - truth))}
