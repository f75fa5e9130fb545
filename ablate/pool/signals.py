"""What a signal means to `ablate run`: the first one asks its loop to stop, a second one ends the program at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

handle: Callable[[int, Any], Any] = getattr(signal.signal, "__wrapped__", signal.signal)
"""`signal.signal` without the enumerations in which Python wraps it: a child that sets six handlers would copy forty
pages for them."""


@contextmanager
def told_to(stop: Callable[[int], None], *, hurry: bool = True) -> Iterator[None]:
    """Tell `stop` of the first SIGINT, SIGTERM or SIGHUP, by number. A second one is a KeyboardInterrupt (children end
    with the warm server, leases with the next `run`), without `hurry` nothing new. Outside the main thread, which alone
    hears signals, nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    told = False

    def heard(number: int, _: FrameType | None) -> None:
        nonlocal told
        if not told:
            told = True
            stop(number)
        elif hurry:
            raise KeyboardInterrupt

    # One that is ignored already was to be: `nohup` says so of SIGHUP, a shell of SIGINT where `&` ends the line.
    numbers = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, heard) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
