"""Gradient boosted trees beside a linear model on a table of patients: LightGBM and scikit-learn under click."""

import click
import lightgbm
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


@click.command()
@click.option("--trees", default=100, help="how many trees")
@click.option("--leaves", default=7, help="leaves of a tree")
@click.option("--learning-rate", default=0.1)
@click.option("--subsample", default=1.0, help="share of rows that each tree sees; 1 is off")
@click.option("--blend/--no-blend", default=False, help="average with a logistic regression")
@click.option("--seed", default=0)
def main(trees, leaves, learning_rate, subsample, blend, seed):
    """Print the loss and the area under the curve on held-out patients."""
    x, y = load_breast_cancer(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, train_size=150, random_state=seed, stratify=y)
    model = lightgbm.LGBMClassifier(
        n_estimators=trees, num_leaves=leaves, learning_rate=learning_rate, subsample=subsample,
        subsample_freq=1, random_state=seed, n_jobs=1, verbose=-1,
    )  # fmt: skip
    shares = model.fit(x, y).predict_proba(x_test)[:, 1]
    if blend:
        linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
        shares = (shares + linear.predict_proba(x_test)[:, 1]) / 2
    click.echo(f"log_loss={log_loss(y_test, shares):.5f} auc={roc_auc_score(y_test, shares):.5f}")


if __name__ == "__main__":
    main()
