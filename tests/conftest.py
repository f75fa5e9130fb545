"""No property test fails because the machine is slow, none because of how the tests were started, and none of networks
because of a draw."""

import signal
import sys

import pytest
from hypothesis import settings

settings.register_profile("ablate", deadline=None)
settings.load_profile("ablate")

# Under `nohup`, and behind a shell's `&`, these are inherited as ignored, and ablate leaves them alone then (as it should):
# the tests that send one would wait for ever.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _same_networks():
    """Every test's networks and inputs are the same each time; where torch is not loaded there are none."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)
