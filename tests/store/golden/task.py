"""A task that needs no library: a noise of its own making, the same for ever."""


def main(config, run):
    for epoch in range(2):
        if config["risky"] and run.seed == 2:
            raise ValueError("the loss is no number any more")
        noise = (run.seed * 37 + epoch * 11 + config["good"] * run.seed**2 * 5) % 17 / 17
        yield {"accuracy": 80 + 4 * config["good"] + epoch + noise - config["rate"], "loss": 1 / (epoch + 1)}
