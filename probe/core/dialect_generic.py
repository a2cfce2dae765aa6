"""Plain 3GPP: what every modem is asked whose family is not known.

Source: 3GPP TS 27.007; facts/05-hardware.md §1.2.
"""

from __future__ import annotations

from probe.core.dialect import COMMON_INIT, CPIN, PLAIN, REGISTRATION, Dialect

GENERIC = Dialect(
    name="generic", words=(), init=COMMON_INIT, queries=(*REGISTRATION, *PLAIN, CPIN), restart="AT+CFUN=1,1"
)
