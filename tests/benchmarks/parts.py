"""What parts of a network cost: a call of what stands in a part's place, and the check of a removal.

python tests/benchmarks/parts.py
"""

import sys
import time
import timeit
from pathlib import Path

import torch
import torchvision

sys.path.insert(0, str(Path(__file__).parents[1]))
import networks

from ablate import surgery
from ablate.errors import AblateError
from ablate.registry import Registry
from ablate.training.rule import decide
from ablate.training.surgery import Theatre

SHELF = {
    "vgg": {}, "resnet": {"depth": 20}, "resnet9": {}, "wide_resnet": {"depth": 16}, "convnext": {"depths": [2, 2, 2]},
    "mobilenet": {"norm": "batch"},
}  # fmt: skip


def microseconds(model, path, *given, **named):
    """Of one call of what stands at a path: the least of seven rounds of 20,000."""
    part = model.get_submodule(path)
    return min(timeit.repeat(lambda: part(*given, **named), number=20_000, repeat=7)) / 20_000 * 1e6


def calls():
    x, plain = torch.randn(4, 6, 16), torch.nn.Identity()
    print(f"nn.Identity: {microseconds(torch.nn.Sequential(plain), '0', x):.2f} µs a call")
    decoder = surgery.remove(networks.Decoder(), ["layers.0", "layers.1.mlp", "layers.1.attention"], networks.tokens())
    mask = torch.zeros(6, 6)
    print(f"identity in a tuple: {microseconds(decoder, 'layers.0', x, mask=mask):.2f} µs")
    print(f"zero: {microseconds(decoder, 'layers.1.mlp', x):.2f} µs")
    given = {"hidden_states": x, "mask": mask}
    print(f"zero in a tuple, by name: {microseconds(decoder, 'layers.1.attention', **given):.2f} µs")
    vit = surgery.remove(networks.ViT(), ["blocks.0.norm1", "blocks.1.mlp.1"], networks.images())
    print(f"identity: {microseconds(vit, 'blocks.0.norm1', x):.2f} µs")
    short = {"depth": 8, "shortcut": "projection"}
    resnet = Registry().make("models", "resnet", short).build((3, 16, 16), 5)
    surgery.remove(resnet, "stage2_block1.shortcut", networks.images(2, 16))
    images = torch.randn(2, 16, 16, 16)
    print(f"zero of another shape: {microseconds(resnet, 'stage2_block1.shortcut', images):.2f} µs")


def checks():
    """CPU seconds of a removal by itself, of every tenth part that can go, with one thread."""
    for name, params in SHELF.items():
        check(name, Registry().make("models", name, params).build((3, 32, 32), 10), networks.images(2, 32))
    check("densenet121", torchvision.models.densenet121(weights=None), networks.images(2, 64))


def check(name, model, example):
    start = time.process_time()
    theatre = Theatre(model, example)
    assert theatre.whole
    once = time.process_time() - start
    able = [path for path in theatre.kinds if decide(theatre.trace, path).off]
    took = []
    for path in able[::10] or able:
        start = time.process_time()
        try:
            theatre.check(theatre.cuts(path)[0])
        except AblateError:
            continue
        took.append(time.process_time() - start)
    print(f"{name}: {once:.2f} CPU s once, then {sum(took) / len(took):.3f} a removal, at most {max(took):.3f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    calls()
    checks()
