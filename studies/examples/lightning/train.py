"""Classify handwritten digits: a Lightning module, whose numbers go to a CSV file."""

import argparse

import pytorch_lightning as lightning
import torch
from pytorch_lightning.loggers import CSVLogger
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Digits(lightning.LightningModule):
    def __init__(self, lr, dropout, norm):
        super().__init__()
        self.lr = lr
        middle = [nn.BatchNorm1d(128)] if norm else []
        self.layers = nn.Sequential(nn.Linear(64, 128), *middle, nn.ReLU(), nn.Dropout(dropout), nn.Linear(128, 10))

    def training_step(self, batch, _):
        images, labels = batch
        return nn.functional.cross_entropy(self.layers(images), labels)

    def validation_step(self, batch, _):
        images, labels = batch
        scores = self.layers(images)
        self.log("val/loss", nn.functional.cross_entropy(scores, labels))
        self.log("val/acc", 100 * (scores.argmax(1) == labels).float().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)


parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.05)
parser.add_argument("--dropout", type=float, default=0.0)
parser.add_argument("--norm", action=argparse.BooleanOptionalAction, default=False, help="batch norm")
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--out", default="logs")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

lightning.seed_everything(args.seed)
digits = load_digits()
data = TensorDataset(torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target))
train, held_out = torch.utils.data.random_split(data, [300, len(data) - 300])
trainer = lightning.Trainer(
    accelerator="cpu", max_epochs=args.epochs, logger=CSVLogger(args.out), enable_progress_bar=False,
    enable_checkpointing=False,
)  # fmt: skip
trainer.fit(Digits(args.lr, args.dropout, args.norm), DataLoader(train, 32, shuffle=True), DataLoader(held_out, 2000))
