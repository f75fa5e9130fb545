"""Named randomness: every user of randomness draws from its own stream.

A stream is named, not shared, so switching one trick on or off shifts no other stream: with equal seeds two variants
start from equal weights and see equal batches in equal order, which is what makes them a pair.
"""

from __future__ import annotations

import hashlib
import json

_encode = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps would make an encoder for every call


def seed_for(seed: int, *name: str | int) -> int:
    """The seed of the stream called `name` of the run whose seed is `seed`: an integer in [0, 2**63).

    `seed_for(0, "init", "block1.conv.weight")` and `seed_for(0, "mixup", 17)` are independent for all practical
    purposes (SHA-256 of the canonical text of the name).
    """
    text = _encode([int(seed), *name])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
