"""First values: every parameter is drawn from the stream of its own name, whatever else the network holds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ablate.rng import seed_for
from ablate.training.recipe import Recipe
from ablate.training.trick import Facts, Trick


def drawn(recipe: Recipe, tricks: Sequence[tuple[str, Trick]], facts: Facts, seed: int) -> nn.Module:
    """A recipe's network, built and drawn, as the tricks change it; what they add is drawn when they are done."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "build"))
        model = recipe.model.build(facts.image, facts.classes)
        done: dict[int, nn.Parameter] = {}
        initialise(model, seed, done)
        for _, trick in tricks:
            model = trick.model(model, facts)
            initialise(model, seed, done)
    return model


def initialise(model: nn.Module, seed: int, done: dict[int, nn.Parameter]) -> None:
    """Draw every parameter whose id is not in `done` from the stream of its own name, and add it there.

    `done` holds the parameters, too: the id of one that a trick threw away would be given to the next.

    Distributions are torch's: convolutions and linear layers uniform within 1/sqrt(fan_in), embeddings normal, norms
    one and zero. Another module's `reset_parameters` runs under its own seed; where there is none, a parameter keeps
    what the constructor gave it (a constant, then: models are built under a fixed seed).
    """
    for module_name, module in model.named_modules():
        own = {
            f"{module_name}.{name}" if module_name else name: parameter
            for name, parameter in module.named_parameters(recurse=False)
            # By id, not by name: a trick may wrap a layer, and what was drawn under its old name stays as it is.
            if id(parameter) not in done
        }
        done.update((id(parameter), parameter) for parameter in own.values())
        drawn = [_draw(module, name, parameter, seed) for name, parameter in own.items()]
        if not all(drawn):
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(seed_for(seed, "init", module_name))
                    reset()


@torch.no_grad()
def _draw(module: nn.Module, name: str, parameter: Tensor, seed: int) -> bool:
    """Draw one parameter of a kind of layer that is known here; False for any other."""
    generator = torch.Generator().manual_seed(seed_for(seed, "init", name))
    if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)):
        # torch writes kaiming_uniform_(a=sqrt(5)), which is 1/sqrt(fan_in) in disguise; the bias has the same bound.
        bound = module.weight[0].numel() ** -0.5
        parameter.uniform_(-bound, bound, generator=generator)
    elif isinstance(module, (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)):
        parameter.fill_(1.0 if name.endswith("weight") else 0.0)
    elif isinstance(module, nn.Embedding):
        parameter.normal_(generator=generator)
    else:
        return False
    return True
