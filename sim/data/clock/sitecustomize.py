"""Python reads this at its start where a site's clock is played: a file holds what the kernel says of its error.

libfaketime plays the time itself; the bound of its error (adjtimex, maxerror) it leaves alone, and a program that asks
for it would be told about this machine's clock. `DOSONG_SIM_MAXERROR` names the file, which holds microseconds.
"""

import ctypes
import os
from pathlib import Path
from typing import Any

_plain = ctypes.CDLL.__getattr__


def _attribute(library: ctypes.CDLL, name: str) -> Any:
    if name != "adjtimex":
        return _plain(library, name)

    def adjtimex(pointer: Any) -> int:
        result: int = _plain(library, name)(pointer)
        # `byref` keeps what it points to; the field has the kernel's own name.
        pointer._obj.maxerror = int(Path(os.environ["DOSONG_SIM_MAXERROR"]).read_text(encoding="ascii"))
        return result

    return adjtimex


if "DOSONG_SIM_MAXERROR" in os.environ:
    ctypes.CDLL.__getattr__ = _attribute  # type: ignore[method-assign]
