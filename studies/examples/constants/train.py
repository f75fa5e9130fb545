"""A network of one hidden layer in NumPy on two moons: settings are constants at the top, its seed is fixed."""

import json

import numpy as np

HIDDEN = 32
LEARNING_RATE = 0.5
STEPS = 300
WEIGHT_DECAY = 0.0
STANDARDISE = False

np.random.seed(1234)


def moons(count):
    """Points of two half circles, and which one each belongs to."""
    angle, side = np.random.uniform(0, np.pi, count), np.random.randint(0, 2, count)
    points = np.stack([np.cos(angle) + side, np.sin(angle) * (1 - 2 * side) + 0.5 * side], axis=1)
    return 4 + points * [1, 8] + np.random.normal(0, 0.3, (count, 2)) * [1, 8], side


def hidden(x):
    return np.tanh(x @ first + shift)


x, y = moons(100)
x_test, y_test = moons(1000)
if STANDARDISE:
    mean, spread = x.mean(0), x.std(0)
    x, x_test = (x - mean) / spread, (x_test - mean) / spread

first, shift = np.random.normal(0, 0.5, (2, HIDDEN)), np.zeros(HIDDEN)
last, bias = np.zeros(HIDDEN), 0.0
for _ in range(STEPS):
    units = hidden(x)
    error = (1 / (1 + np.exp(-(units @ last + bias))) - y) / len(y)
    below = np.outer(error, last) * (1 - units**2)
    last -= LEARNING_RATE * (units.T @ error + WEIGHT_DECAY * last)
    bias -= LEARNING_RATE * error.sum()
    first -= LEARNING_RATE * (x.T @ below + WEIGHT_DECAY * first)
    shift -= LEARNING_RATE * below.sum(0)

scores = hidden(x_test) @ last + bias
loss = np.mean(np.logaddexp(0, scores) - y_test * scores)
with open("result.json", "w") as file:
    json.dump({"loss": loss, "accuracy": 100 * np.mean((scores > 0) == y_test)}, file)
