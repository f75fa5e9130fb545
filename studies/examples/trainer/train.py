"""Tell sequences of letters apart with a small BERT that is made on the spot: a Trainer of transformers."""

from dataclasses import dataclass

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification, HfArgumentParser, Trainer, TrainingArguments


@dataclass
class ModelArguments:
    width: int = 32
    layers: int = 1
    dropout: float = 0.0


class Letters(torch.utils.data.Dataset):
    """Sequences of 12 letters; the label says whether the first letter of the alphabet comes twice or more."""

    def __init__(self, count, seed):
        rng = np.random.default_rng(seed)
        self.letters = rng.integers(1, 9, (count, 12))
        self.labels = ((self.letters == 1).sum(1) >= 2).astype(int)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return {"input_ids": torch.tensor(self.letters[i]), "labels": int(self.labels[i])}


def accuracy(predicted):
    return {"accuracy": 100 * float((predicted.predictions.argmax(1) == predicted.label_ids).mean())}


if __name__ == "__main__":
    own, training = HfArgumentParser((ModelArguments, TrainingArguments)).parse_args_into_dataclasses()
    torch.manual_seed(training.seed)
    config = BertConfig(
        vocab_size=9, hidden_size=own.width, num_hidden_layers=own.layers, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=12, hidden_dropout_prob=own.dropout, attention_probs_dropout_prob=own.dropout,
    )  # fmt: skip
    trainer = Trainer(
        BertForSequenceClassification(config), training, train_dataset=Letters(800, training.seed),
        eval_dataset=Letters(400, 10_000 + training.seed), compute_metrics=accuracy,
    )  # fmt: skip
    trainer.train()
    trainer.log_metrics("eval", trainer.evaluate())
    trainer.save_state()
