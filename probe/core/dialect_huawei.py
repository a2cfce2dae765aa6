"""Huawei sticks in stick mode (E3372 and its like): what to ask them, and how their lines are read.

Conversions: facts/05-hardware.md §1.3. `AT^RESET` alone restarts them; `+CFUN=1,1` says OK and restarts nothing.
"""

from __future__ import annotations

from probe.core.at_parse import (
    RAT_NAMES,
    area_code,
    bare,
    cell_id,
    field_at,
    level,
    parse_temperature,
    plmn_of,
    scaled,
    split_fields,
    tenths,
    to_int,
)
from probe.core.dialect import COMMON_INIT, CPIN, PLAIN, REGISTRATION, Dialect, Query, own
from probe.core.radio import Observation, Pdp, Registration, Sim

# The states between say only that CPIN knows better.
_HUAWEI_SIM: dict[int, Sim] = {1: "ready", 255: "absent"}


def parse_hcsq(line: str) -> Observation:
    """^HCSQ (Huawei): LTE is RSSI, RSRP, SINR, RSRQ in that order; 0 is below the scale, 255 unknown."""
    fields = split_fields(line, "^HCSQ:")
    rat = RAT_NAMES.get(bare(fields[0]).upper())
    a, b = level(field_at(fields, 1), 96), level(field_at(fields, 2), 97)
    if rat == "LTE":
        return Observation(
            rat=rat,
            rssi_dbm_x10=scaled(a, 10, -1210),
            rsrp_dbm_x10=scaled(b, 10, -1410),
            sinr_db_x10=scaled(level(field_at(fields, 3), 251), 2, -202),
            rsrq_db_x10=scaled(level(field_at(fields, 4), 34), 5, -200),
        )
    if rat == "UMTS":
        ecio = scaled(level(field_at(fields, 3), 65), 5, -325)
        return Observation(
            rat=rat, rssi_dbm_x10=scaled(a, 10, -1210), rscp_dbm_x10=scaled(b, 10, -1210), ecio_db_x10=ecio
        )
    return Observation(rat=rat, rssi_dbm_x10=scaled(a, 10, -1210) if rat else None)


def parse_sysinfoex(line: str) -> Observation:
    """^SYSINFOEX (Huawei): service, domain, roaming, SIM, lock, system mode number and name, submode.

    A service that is restricted, or has no packet domain, is `limited`: there is signal and no data.
    """
    fields = split_fields(line, "^SYSINFOEX:")
    service, domain, roaming, sim = (to_int(field_at(fields, i)) for i in range(4))
    return Observation(
        registration=_huawei_registration(service, domain, roaming),
        sim=None if sim is None else _HUAWEI_SIM.get(sim),
        rat=RAT_NAMES.get(bare(field_at(fields, 6)).upper()),
    )


def _huawei_registration(service: int | None, domain: int | None, roaming: int | None) -> Registration | None:
    if domain == 4:
        return "searching"
    if service in (1, 3) or (service == 2 and domain == 1):
        return "limited"
    if service == 2:
        return "roaming" if roaming == 1 else "home"
    return "not_registered" if service == 0 else None


def parse_hfreqinfo(line: str) -> Observation:
    """^HFREQINFO (Huawei): <n>, system mode (6 is LTE), band, downlink channel, then frequencies and widths."""
    fields = split_fields(line, "^HFREQINFO:")
    if to_int(field_at(fields, 1)) != 6:
        return Observation()
    return Observation(
        rat="LTE",
        band=to_int(field_at(fields, 2)),
        earfcn=to_int(field_at(fields, 3)),
        bandwidth_khz=to_int(field_at(fields, 5)),
    )


def parse_monsc(line: str) -> Observation:
    """^MONSC (Huawei modules), LTE: MCC, MNC, EARFCN, then cell, PCI and TAC in hexadecimal, RSRP, RSRQ, RSSI."""
    fields = split_fields(line, "^MONSC:")
    rat = RAT_NAMES.get(bare(fields[0]).upper())
    if rat != "LTE":
        return Observation(rat=rat)
    return Observation(
        rat=rat,
        plmn=plmn_of(field_at(fields, 1), field_at(fields, 2)),
        earfcn=to_int(field_at(fields, 3)),
        eci=cell_id(field_at(fields, 4)),
        pci=to_int(field_at(fields, 5), 16),
        tac=area_code(field_at(fields, 6)),
        rsrp_dbm_x10=tenths(field_at(fields, 7)),
        rsrq_db_x10=tenths(field_at(fields, 8)),
        rssi_dbm_x10=tenths(field_at(fields, 9)),
    )


def parse_ndisstatqry(line: str) -> Observation:
    """^NDISSTATQRY (Huawei): (state, error, , family) for each of IPv4 and IPv6; one of them up is a bearer."""
    fields = split_fields(line, "^NDISSTATQRY:")
    states = [to_int(state) for state in fields[0::4]]
    known = [state for state in states if state in (0, 1)]
    pdp: Pdp | None = None if not known else "up" if 1 in known else "down"
    return Observation(pdp=pdp)


HUAWEI = Dialect(
    name="huawei",
    words=("HUAWEI",),
    init=(*COMMON_INIT, "AT^CURC=0"),
    queries=(
        *REGISTRATION,
        own("AT^SYSINFOEX", "^SYSINFOEX:", parse_sysinfoex),
        own("AT^HCSQ?", "^HCSQ:", parse_hcsq),
        Query(command="AT^HFREQINFO?", prefix="^HFREQINFO:", parse=parse_hfreqinfo, may_be_bare=True),
        own("AT^MONSC", "^MONSC:", parse_monsc),
        own("AT^NDISSTATQRY?", "^NDISSTATQRY:", parse_ndisstatqry),
        *PLAIN,
        own("AT^CHIPTEMP?", "^CHIPTEMP:", parse_temperature),
        CPIN,
    ),
    restart="AT^RESET",
    iccid=("AT^ICCID?", "^ICCID:"),
)
