"""Checkpoints of a training: after an epoch, at most one a minute, so that a killed run goes on where it was.

A file is the SHA-256 of what follows, then torch's own format, read with weights_only=True: it never executes code. It
is written beside its name, flushed and renamed; the last two are kept, and a damaged one falls back to the one before.
What a step draws comes from streams by step, so model, optimizer, tricks' memories, the process's own generators and
the epoch's number are all there is to remember: a resumed training ends with the bits of an unbroken one, as long as it
goes on with the same versions on the same kind of processor. Otherwise it starts anew.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from ablate.errors import DataError
from ablate.training.provenance import provenance
from ablate.training.trainer import Training

INTERVAL_S = float(os.environ.get("ABLATE_CHECKPOINT_S", "60"))
"""Between two checkpoints, and before the first: a shorter training writes none."""
KEPT = 2


@dataclass
class Progress:
    """How far a training is. history: each epoch's values; best: the best epoch's value and weights so far, and
    best_seen what it made of each dev image (`trainer.seen`), where that is asked for."""

    history: list[dict[str, float]] = field(default_factory=list)
    best_value: float = float("-inf")
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    best_seen: dict[str, torch.Tensor] = field(default_factory=dict)


class Checkpoints:
    """The checkpoints in a run's folder. `written_s`: when the last one was, by time.monotonic()."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written_s = time.monotonic()
        self._told = False

    def resume(self, training: Training) -> Progress:
        """Put a training where the newest usable checkpoint was; from the start where there is none."""
        for path in sorted(self.folder.glob("checkpoint-*.pt"), reverse=True):
            state = _read(path)
            if state is None:
                print(f"{path.name} is damaged; the one before it is tried")
            elif state["made_with"] != provenance():
                print(f"{path.name} was made by other versions or on another processor; it is not used")
            else:
                _restore(training, state)
                print(f"going on after epoch {len(state['history'])}, from {path.name}")
                return Progress(**{part.name: state[part.name] for part in fields(Progress)})
        return Progress()

    def offer(self, training: Training, progress: Progress) -> None:
        """Write one if the last is old enough."""
        if time.monotonic() - self.written_s >= INTERVAL_S:
            self.write(training, progress)
            self.written_s = time.monotonic()

    def write(self, training: Training, progress: Progress) -> None:
        """One that cannot be written (a full disk) is told once, and costs no more than what it would have saved."""
        try:
            self._write(training, progress)
        except OSError as error:
            if not self._told:
                with suppress(OSError):
                    print(f"no checkpoint can be written: {error}; the training goes on")
            self._told = True

    def _write(self, training: Training, progress: Progress) -> None:
        buffer = io.BytesIO()
        torch.save({**_captured(training), **vars(progress), "made_with": provenance()}, buffer)
        data = buffer.getvalue()
        if _loaded(data) is None:
            print("no checkpoint: a trick remembers something that is neither numbers, text nor tensors")
            return
        path = self.folder / f"checkpoint-{len(progress.history):06}.pt"
        whole = hashlib.sha256(data).hexdigest().encode() + b"\n" + data
        write_whole(path, lambda file: file.write(whole))
        for old in sorted(self.folder.glob("checkpoint-*.pt"), reverse=True)[KEPT:]:
            old.unlink()

    def remove(self) -> None:
        """The training is over and its weights are stored. What killed attempts were writing goes, too."""
        for pattern in ("checkpoint-*.pt", ".checkpoint-*"):
            for path in self.folder.glob(pattern):
                path.unlink()


def _read(path: Path) -> dict[str, Any] | None:
    """The state in a file; None where it is not whole."""
    digest, newline, data = path.read_bytes().partition(b"\n")
    whole = newline and hashlib.sha256(data).hexdigest().encode() == digest
    return _loaded(data) if whole else None


def _loaded(data: bytes) -> dict[str, Any] | None:
    """What torch's safe reader makes of it; None where it refuses."""
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(data), weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError):
        return None
    return state


def _captured(training: Training) -> dict[str, Any]:
    """All that the steps so far have changed."""
    cuda = training.facts.device.type == "cuda"
    return {
        "model": training.model.state_dict(),
        "learning": {name: p.requires_grad for name, p in training.model.named_parameters()},
        "optimizer": training.optimizer.state_dict(),
        "scaler": training.scaler.state_dict(),
        "memories": training.memories,
        "train_seconds": training.train_seconds,
        "torch_generator": torch.get_rng_state(),
        "cuda_generator": torch.cuda.get_rng_state() if cuda else None,
        "python_generator": random.getstate(),
    }


def _restore(training: Training, state: Mapping[str, Any]) -> None:
    training.model.load_state_dict(state["model"])
    for name, parameter in training.model.named_parameters():
        parameter.requires_grad_(state["learning"][name])
    training.optimizer.load_state_dict(state["optimizer"])
    training.scaler.load_state_dict(state["scaler"])
    training.memories = state["memories"]
    training.train_seconds = state["train_seconds"]
    torch.set_rng_state(state["torch_generator"])
    if state["cuda_generator"] is not None:
        torch.cuda.set_rng_state(state["cuda_generator"])
    version, numbers, gauss = state["python_generator"]
    random.setstate((version, tuple(numbers), gauss))


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of parameters and buffers on the CPU."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in model.state_dict().items()}


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and contents, whatever the memory format."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def weights(path: Path, expected: str = "", device: torch.device | None = None) -> dict[str, Tensor]:
    """The weights that a run left in a file. DataError where they are not there, damaged, or not those `expected`.

    expected: their hash (tensors_sha256), which the database has; empty for weights of before it took one.
    """
    try:
        state: dict[str, Tensor] = torch.load(path, map_location=device or "cpu", weights_only=True)
        found = tensors_sha256(state)
    except FileNotFoundError:
        raise DataError(f"there are no weights at {path}: {_AGAIN}.") from None
    except (
        OSError,
        RuntimeError,
        EOFError,
        pickle.UnpicklingError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} is damaged ({first:.120}): {_AGAIN}.") from None
    if expected and found != expected:
        raise DataError(f"{path} holds other weights than those that were trained: {_AGAIN}.")
    return state


_AGAIN = "`ablate retry --weights` trains them again"


def save(state: Mapping[str, Tensor], path: Path) -> None:
    """Weights that load with weights_only=True."""
    write_whole(path, lambda file: torch.save(dict(state), file))


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write, flush to the disk, then rename: whoever finds the file finds it whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:  # half of it would only take room
        temporary.unlink(missing_ok=True)
        raise
