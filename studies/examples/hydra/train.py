"""Classify handwritten digits with what the configuration names: a Hydra application."""

import hydra
from omegaconf import DictConfig
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(config: DictConfig) -> None:
    images, labels = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(images, labels, train_size=config.data.size, random_state=config.seed)
    if config.data.shifts:
        x, y = hydra.utils.instantiate(config.augmentation)(x, y)
    model = hydra.utils.instantiate(config.model)
    model.fit(x, y)
    print({"accuracy": 100 * model.score(x_test, y_test), "train_accuracy": 100 * model.score(x, y)})


if __name__ == "__main__":
    main()
