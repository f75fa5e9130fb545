"""No property test fails because the machine is slow, and none because of how the tests were started."""

import signal

from hypothesis import settings

settings.register_profile("ablate", deadline=None)
settings.load_profile("ablate")

# Under `nohup`, and behind a shell's `&`, these are inherited as ignored, and ablate leaves them alone then (as it should):
# the tests that send one would wait for ever.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)
