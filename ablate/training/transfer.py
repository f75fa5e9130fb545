"""Trained weights into a network: read them safely, fit them by name and shape, say what was and was not loaded.

A weights file is a PyTorch state dict and never executes anything (`weights_only`). A parameter is loaded where name
and shape agree; the head, which is the last linear layer, is replaced where its number of classes differs, and like
every parameter that is not loaded it keeps the values of its own initialisation stream. Which file a run starts from is
decided elsewhere (classify.py, lineage.py).
"""

from __future__ import annotations

import contextlib
import io
import pickle
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ablate.errors import AblateError
from ablate.text import did_you_mean, listed

Head = Literal["auto", "new", "keep"]
State = Mapping[str, Tensor]

_WRAPPINGS = ("state_dict", "model_state_dict", "model")
"""Under which key training scripts keep the state dict in a checkpoint."""


@dataclass(frozen=True)
class Loaded:
    """What came of fitting. loaded: names of the network's tensors that have the file's values now.

    head: the name of the last linear layer. new_head: whether it kept its own initialisation. shapes: name -> (shape in
    the file, shape here) of the others that do not fit; missing: the network's that the file has not; unused: the
    file's that the network has not.
    """

    loaded: tuple[str, ...]
    head: str
    new_head: bool
    shapes: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
    missing: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        """`loaded 20 of 22 tensors; linear is new, drawn as ever; not in the file: stage1_block1.norm.weight`."""
        total = len(self.loaded) + len(self.shapes) + len(self.missing) + 2 * self.new_head
        parts = [f"loaded {len(self.loaded)} of {total} tensors"]
        if self.new_head:
            parts.append(f"the head {self.head} is new, drawn from its own stream")
        if self.shapes:
            told = [
                f"{name} ({_shape(theirs)} there, {_shape(ours)} here)" for name, (theirs, ours) in self.shapes.items()
            ]
            parts.append(f"another shape, so not loaded: {listed(told, most=8)}")
        if self.missing:
            parts.append(f"not in the file: {listed(self.missing, most=8)}")
        if self.unused:
            parts.append(f"in the file and not used: {listed(self.unused, most=8)}")
        return "; ".join(parts)


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "one number"


# ------------------------------------------------------------------------------------------------------------- reading


def read(path: Path, planned_sha256: str) -> dict[str, Tensor]:
    """The state dict in a weights file. AblateError where it is another file than was planned, or no state dict."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AblateError(f"the weights {path} cannot be read: {error.strerror}.") from None
    if sha256(data).hexdigest() != planned_sha256:
        raise AblateError(f"{path} is no longer the file that the plan was made from; run the same command again.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of foreign pickles; they are refused just below
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise AblateError(
            f"{path} is no file of weights: it is no pickle at all, or it holds Python objects other than tensors, "
            "which could execute code and are never loaded. Save `model.state_dict()` with torch.save."
        ) from None
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise AblateError(f"{path} is no file of weights, or only a part of one ({len(data)} bytes): {first}") from None
    return _state_dict(content, path)


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    """The names and tensors in what a file held: a state dict, or a checkpoint that holds one."""
    if isinstance(content, Mapping) and not _is_state(content):
        content = next((content[key] for key in _WRAPPINGS if _is_state(content.get(key))), content)
    if not _is_state(content):
        what = f"a mapping of {listed(content, most=8)}" if isinstance(content, Mapping) else type(content).__name__
        raise AblateError(
            f"{path} holds {what}; a file of weights holds a state dict, which maps names to tensors, alone or under "
            f"{', '.join(map(repr, _WRAPPINGS))}."
        )
    prefix = "module." if all(name.startswith("module.") for name in content) else ""  # DataParallel, AveragedModel
    state = {name.removeprefix(prefix): tensor for name, tensor in content.items()}
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise AblateError(
                f"{path}: {name} holds NaN or infinity; these weights come from a training that diverged."
            )
    return state


def _is_state(content: Any) -> bool:
    """Whether something maps names to tensors. AveragedModel's counter stands beside its `module.` names."""
    return (
        isinstance(content, Mapping)
        and len(content) > 0
        and all(isinstance(value, Tensor) for value in content.values())
    )


# ------------------------------------------------------------------------------------------------------------- fitting


@torch.no_grad()
def fit(model: nn.Module, state: State, head: Head = "auto") -> Loaded:
    """Load `state` into `model` where names and shapes agree. AblateError where nothing but the head would be loaded.

    head: "auto" replaces the last linear layer where its shape differs, "new" always, "keep" refuses another shape.
    """
    own = model.state_dict(keep_vars=False)
    name = head_of(model)
    parts = {f"{name}.{part}" for part in ("weight", "bias")} & own.keys()
    fits = all(part in state and state[part].shape == own[part].shape for part in parts)
    if head == "keep" and not fits:
        weight = f"{name}.weight"
        stored = f"is {_shape(state[weight].shape)} in the file" if weight in state else "is not in the file"
        raise AblateError(
            f"init.head is 'keep', but the last linear layer, {name}, {stored} and {_shape(own[weight].shape)} here."
        )
    new_head = head == "new" or not fits
    backbone = {key: tensor for key, tensor in own.items() if not (new_head and key in parts)}
    loaded = [key for key, tensor in backbone.items() if key in state and state[key].shape == tensor.shape]
    shapes = {
        key: (tuple(state[key].shape), tuple(tensor.shape))
        for key, tensor in backbone.items()
        if key in state and state[key].shape != tensor.shape
    }
    missing = tuple(key for key in backbone if key not in state)
    report = Loaded(tuple(loaded), name, new_head, shapes, missing, tuple(key for key in state if key not in own))
    if not set(loaded) - parts:
        raise AblateError(f"nothing was loaded: the weights do not fit this network; {report}.")
    for key in loaded:
        own[key].copy_(state[key])
    return report


def head_of(model: nn.Module) -> str:
    """The name of the last linear layer, which tells the classes apart. AblateError where there is none."""
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and name]
    if not linear:
        raise AblateError("this network has no linear layer with a name, so what its head is cannot be told.")
    return str(linear[-1])


def backbone(model: nn.Module, loaded: frozenset[str], layers: Sequence[str] = ()) -> dict[str, nn.Parameter]:
    """The parameters that transfer is about: those loaded (all of a net that starts from its seed) but the head's.

    layers: names of layers, or patterns such as `stage1_*`, to take only those. AblateError where one matches nothing.
    """
    head = head_of(model)
    parameters = {
        name: parameter
        for name, parameter in model.named_parameters()
        if not name.startswith(f"{head}.") and (not loaded or name in loaded)
    }
    if not layers:
        return parameters
    chosen: dict[str, nn.Parameter] = {}
    for layer in layers:
        inside = {name: parameters[name] for name in parameters if name == layer or fnmatchcase(name, f"{layer}.*")}
        if not inside:
            names = [name for name, _ in model.named_modules() if name]
            raise AblateError(
                f"no pretrained parameter lies in a layer called {layer!r}; the network has "
                f"{listed(names, most=20)}.{did_you_mean(layer, names)}"
            )
        chosen |= inside
    return {name: parameters[name] for name in parameters if name in chosen}


def regroup(optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], factor: float = 1.0) -> None:
    """Move these parameters into groups of their own, with `factor` times the learning rate that they had.

    What a group's parameters have in common (weight decay, say) stays; the first group keeps its rate.
    """
    chosen = {id(parameter) for parameter in parameters}
    kept: list[dict[str, Any]] = []
    moved: list[dict[str, Any]] = []
    for group in optimizer.param_groups:
        inside = [parameter for parameter in group["params"] if id(parameter) in chosen]
        outside = [parameter for parameter in group["params"] if id(parameter) not in chosen]
        if outside:
            kept.append({**group, "params": outside})
        if inside:
            rates: dict[str, Any] = {key: group[key] * factor for key in ("lr", "initial_lr") if key in group}
            moved.append({**group, **rates, "params": inside})
    optimizer.param_groups[:] = [*kept, *moved]


# ---------------------------------------------------------------------------------------------------------- torchvision


def torchvision_file(name: str, *, download: bool) -> Path:
    """Where torchvision keeps the weights `name`: a net's name (its best), or one of its sets of weights.

    Fetched only when asked for. AblateError where there is no such name or no such file.
    """
    import torchvision.models

    net, _, version = name.partition(".")
    sets = {weights.__name__: weights for weights in map(torchvision.models.get_model_weights, _weighted())}
    if version:
        choices = sets.get(net)
        if choices is None or version not in choices.__members__:
            listed = [f"{one}.{member}" for one, weights in sets.items() for member in weights.__members__]
            raise AblateError(f"torchvision has no weights {name!r}.{did_you_mean(name, listed)}")
        weights = choices[version]
    elif net in _weighted():
        weights = torchvision.models.get_model_weights(net).DEFAULT
    else:
        near = did_you_mean(net, [*_weighted(), *sets])
        raise AblateError(
            f"torchvision has no weights for {net!r}; `resnet18` or `ResNet18_Weights.IMAGENET1K_V1`.{near}"
        )
    path = Path(str(torch.hub.get_dir()), "checkpoints", str(weights.url).rpartition("/")[2])
    if not path.is_file() and download:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                torch.hub.download_url_to_file(weights.url, str(path), _hash_prefix(path), progress=False)
        except (OSError, RuntimeError) as error:
            raise AblateError(
                f"{weights.url} cannot be downloaded ({error}). Without network: fetch it elsewhere, put it at {path}."
            ) from None
    if not path.is_file():
        raise AblateError(
            f"the weights {weights} are not at {path}, where torchvision would look ($TORCH_HOME moves it). ablate "
            f"downloads nothing unasked: put {weights.url} there, or ask for `download: true` beside `torchvision:`."
        )
    return path


def _weighted() -> list[str]:
    """The classification nets of torchvision that have weights."""
    import torchvision.models

    names: list[str] = torchvision.models.list_models(module=torchvision.models)
    return names


def _hash_prefix(path: Path) -> str | None:
    """`f37072fd` of resnet18-f37072fd.pth: the first digits of the file's SHA-256."""
    digits = path.stem.rpartition("-")[2]
    return digits if len(digits) >= 8 and all(c in "0123456789abcdef" for c in digits) else None
