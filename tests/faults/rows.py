"""The twenty-five rows of faults: what each is, what must hold, its everyday tests, and the programs that play it.

Invariants: I1 what is acknowledged is in the ledger; I2 what is recorded is in spool or ledger; I3 each record counted
once, InfluxDB as the ledger; I4 the recomputed root is that of every checkpoint ever shown; I5 nothing of an unknown
or revoked key or by a foreign topic; I6 ledger and declared gaps are without a hole; I7 the quota recomputed is that on
screen and in exports; I8 after the faults the backlog drains and nothing blocks it; I9 no yes before it is durable.
Source: facts note 08 §7 and §7.2.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One fault. `tests`: pytest files or ids that `make test` runs; `programs`: modules with their arguments."""

    number: int
    fault: str
    holds: str
    tests: tuple[str, ...]
    programs: tuple[str, ...]


_CUTS = "tests.probe.power_cuts --cuts 1000"
_YEARS = "tests.years --seeds 1000"
_KILLS = "tests.faults.kills --kills 25"
_LOAD = "bench.load --quick"
_SHORT = "tests/faults/test_short.py"
BESIDE = (_YEARS,)
"""Programs that take one core and no service: they run beside the others, with low priority."""

ROWS = (
    Row(1, "probe: power cut at every call", "I1 I2 I6, no fork", ("tests/probe/test_power_cut.py",), (_CUTS,)),
    Row(
        2, "probe: sync fails, disk full, card read-only", "I2 I6: restart, signed gap, alarm",
        ("tests/probe/test_power_cut.py", "tests/probe/test_full_disk.py"), (_YEARS,),
    ),
    Row(
        3, "probe: torn or flipped end of the spool", "what is whole is kept, the rest is told",
        (
            "tests/probe/test_spool.py::test_damaged_file_is_set_aside_and_a_new_epoch_begins",
            "tests/probe/test_spool.py::test_damage_that_is_read_while_running_asks_for_a_restart",
            "tests/probe/test_spool.py::test_damaged_files_do_not_fill_the_card",
        ),
        (_YEARS,),
    ),
    Row(
        4, "probe: card of last week put back", "new epoch, no silent fork",
        ("tests/probe/test_publish.py::test_rolled_back_spool_finds_the_retained_ack_and_does_not_fork_silently",),
        (_YEARS,),
    ),
    Row(
        5, "broker killed, with and without persistence", "I1 I2 I3",
        ("tests/flow/test_kills.py::test_kill_broker", "tests/probe/test_publish.py"), ("tests.faults.brokers",),
    ),
    Row(
        6, "broker forgets: dropped after PUBACK, queue full, session gone, disk full", "I1, sent again soon",
        ("tests/probe/test_publish.py::test_puback_releases_nothing_and_what_is_not_acknowledged_is_sent_again",),
        ("tests.faults.brokers",),
    ),
    Row(
        7, "deliveries repeated, reordered, late", "I3",
        (f"{_SHORT}::test_deliveries_out_of_order_and_repeated_are_held_once", "tests/collector/test_chain_runs.py"),
        ("tests.faults.deliveries --deliveries 200000",),
    ),
    Row(
        8, "collector killed at every step, and its power cut", "I1 I3 I4 I9",
        (f"{_SHORT}::test_killed_once_at_every_step_everybody_agrees",), (_KILLS, "tests.faults.disks"),
    ),
    Row(
        9, "ledger: disk full, EIO, stall", "no acknowledgement, pages up, alarm, drains after",
        (
            "tests/collector/test_receive.py::test_nothing_is_acknowledged_while_the_ledger_cannot_be_written",
            "tests/flow/test_missing.py::"
            "test_a_full_disk_is_said_and_nothing_is_acknowledged_until_there_is_room",
        ),
        ("tests.faults.disks", "tests.faults.extras"),
    ),
    Row(
        10, "sealer stops between signing and keeping", "never two roots at one size",
        ("tests/collector/test_seal.py::test_a_stop_at_any_step_never_gives_one_size_two_roots",), (_KILLS,),
    ),
    Row(
        11, "ledger: flipped bit, deleted row, older file", "found before the next signature",
        ("tests/collector/test_seal.py", "tests/collector/test_seal_beside.py", "tests/faults/test_edits.py"),
        ("tests.faults.tamper", "tests.faults.edits"),
    ),
    Row(
        12, "InfluxDB away, stopped, 500, 400, wrong type, outside retention, wiped", "I3 after; ingest unaffected",
        ("tests/collector/test_forward.py", "tests/flow/test_kills.py::test_kill_influxdb"), ("tests.faults.extras",),
    ),
    Row(
        13, "clocks jump, are ten years off, at 1970, 2028-02-29, 2038", "order by the chain, intervals monotonic",
        (
            "tests/sim/test_faults.py::test_a_clock_that_is_wrong_and_set_while_a_program_runs",
            "tests/probe/test_schedule_month.py::test_clock_jumps_neither_skip_nor_repeat_a_slot",
            "tests/collector/test_seal.py::test_a_clock_that_was_set_back_never_opens_an_older_log",
        ),
        ("tests.faults.extras", _YEARS),
    ),
    Row(
        14, "TLS: certificates, CA, revocation list over or not yet valid", "refused safely, back without a visit",
        (
            "tests/provisioning/test_broker.py::test_expired_and_foreign_certificates_are_refused",
            "tests/provisioning/test_broker.py::test_old_revocation_list_is_signed_anew_long_before_it_ends",
            "tests/flow/test_missing.py::test_a_probe_whose_certificates_are_refused_waits_and_recovers",
        ),
        ("tests.faults.brokers",),
    ),
    Row(
        15, "line: 64 kb/s, 20 % loss, 2 s late, half open, forgotten, portal, MTU 1280", "I1, bounded data use",
        ("tests/probe/test_failure_classes.py", "tests/sim/test_faults.py::test_a_portal_answers_for_everybody"),
        ("tests.faults.lines",),
    ),
    Row(
        16, "72 hours of outage, then all at once", "I1 I3 I8 in ten minutes",
        (f"{_SHORT}::test_probes_that_come_back_together_are_drained_once_each",), ("tests.faults.outage",),
    ),
    Row(
        17, "ten thousand reconnect, at once and spread", "all are back in fifteen minutes",
        ("tests/provisioning/test_broker.py::test_400_idle_sockets_keep_neither_collector_nor_probes_out",), (_LOAD,),
    ),
    Row(
        18, "hostile JSON and bytes", "refused with a reason, nothing dies, nothing blocks",
        ("tests/wire/test_codec.py", "tests/wire/test_canon.py", "tests/fuzz/test_short.py"),
        ("tests.fuzz --seconds 3",),
    ),
    Row(
        19, "one probe sends 1,000 messages a second; idle sockets; churn", "the others' answers within 10 s",
        (
            "tests/collector/test_throttle.py",
            "tests/provisioning/test_broker.py::test_400_idle_sockets_keep_neither_collector_nor_probes_out",
        ),
        (_LOAD,),
    ),
    Row(
        20, "web: slow clients, large heads and forms", "good requests within a second",
        ("tests/collector/test_web_access.py", "tests/provisioning/test_proxy.py"), ("bench.load --web",),
    ),
    Row(
        21, "foreign topic or client id, revoked in session, replayed ticket, stolen claim", "I5",
        (
            "tests/provisioning/test_broker.py", "tests/provisioning/test_enrolment.py",
            "tests/flow/test_tamper.py", "tests/collector/test_receipts.py",
        ),
        ("tests.faults.revocation",),
    ),
    Row(
        22, "a clone runs beside the original", "told within the hour, both kept",
        ("tests/provisioning/test_takeover.py", "tests/provisioning/test_broker.py::"
         "test_a_cloned_card_shows_in_the_brokers_log"), (),
    ),
    Row(
        23, "web payloads in every text", "nothing runs, no formula", ("tests/web/test_hostile.py",), (),
    ),
    Row(
        24, "backup and restore, upgrade, back again", "I1 I4 I7",
        (f"{_SHORT}::test_a_backup_put_back_under_load_loses_nothing_that_probes_hold",
         "tests/collector/test_ledger_contract.py"),
        ("tests.faults.restore", "tests.faults.operations"),
    ),
    Row(
        25, "twelve kinds of cheats beside an honest fleet", "recall and false alarms as promised",
        ("tests/collector/test_verdict.py", "tests/collector/test_verdict_judge.py"), ("bench.fakes",),
    ),
)  # fmt: skip
