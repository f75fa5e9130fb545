"""The door for any training loop: parts of a network taken away by their path.

    from ablate import surgery

    model = surgery.remove(model, "layer3.1", example=batch)

Beside `plugins` the only file at the root that is no word: what it hands out lives in `ablate.training`, and nothing
in ablate imports it.
"""

from __future__ import annotations

from ablate.training.parts import SurgeryError
from ablate.training.surgery import remove

__all__ = ["SurgeryError", "remove"]
