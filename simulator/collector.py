"""Fewer runs of Python's garbage collector."""

import gc

__all__ = ["collect_seldom"]


def collect_seldom() -> None:
    """Exclude what is loaded by now from every collection, and collect less often.

    The descriptions of AWS, moto's modules and the interpreter of state machines are millions of
    objects that live as long as the process; looking through them again and again takes a third of
    a scenario. What a run leaves behind is still collected: it needs a tenth more memory.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 10)
