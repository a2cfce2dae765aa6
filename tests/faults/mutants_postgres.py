"""Defects in what the ledger in PostgreSQL, its workers, its sealer and its forwarders promise; see `mutants`.

Source: issue 10; decision notes 0040, 0045, 0047, 0049.
"""

from __future__ import annotations

from tests.faults.mutant import Edit, Mutant

_PROMISES = "tests/collector/test_pg_guarantees.py"
_COPY = "tests/collector/test_pg_copy.py"
_LOSSES = "tests/collector/test_pg_losses.py"
_MARK = "tests/collector/test_seal_mark.py"
_WORKERS = "tests/collector/test_workers.py"
_FORWARD = "tests/collector/test_forward_shared.py"
_REGISTRY = "tests/collector/test_registry_mirror.py"
_HANDS = f"{_PROMISES}::test_a_partition_that_changes_hands_has_another_number_and_one_that_is_held_does_not"
_SEALER = f"{_PROMISES}::test_the_sealer_seals_only_while_no_other_does_and_goes_on_with_a_lost_server_at_once"


def _one(name: str, breaks: str, file: str, old: str, new: str, test: str) -> Mutant:
    return Mutant(name, breaks, (Edit(file, old, new),), (test,))


POSTGRES = (
    _one(
        "pg_fence_ignored",
        "a worker that lost a partition commits there",
        "collector/ledger_pg.py",
        "        if lost:",
        "        if not held and lost:",
        f"{_WORKERS}::test_a_commit_of_a_worker_that_lost_its_partition_is_refused",
    ),
    _one(
        "pg_fence_not_held",
        "a partition changes hands between the question and COMMIT",
        "collector/ledger_pg.py",
        " FOR SHARE",
        "",
        f"{_PROMISES}::test_a_partition_stays_with_who_commits_until_it_has",
    ),
    _one(
        "pg_fence_not_asked",
        "a worker commits without asking for its leases",
        "collector/partitions.py",
        "    ingest.hold = made.hold\n",
        "",
        f"{_PROMISES}::test_a_worker_by_its_settings_commits_only_what_its_leases_cover",
    ),
    _one(
        "pg_lost_group_kept",
        "chains of a group whose server was lost go in with the next one, and are acknowledged without their records",
        "collector/ledger_pg.py",
        """ or sql.startswith("BEGIN"):""",
        ":",
        f"{_LOSSES}::test_of_a_group_whose_server_was_lost_nothing_is_in_the_next",
    ),
    _one(
        "pg_wait_broken_off",
        "somebody ends the wait for the standby, and the group is acknowledged",
        "collector/pg.py",
        'if sql == "COMMIT" and _ALONE in self._said_by:',
        "if False:",
        f"{_LOSSES}::test_a_wait_for_the_standby_that_is_broken_off_acknowledges_nothing",
    ),
    _one(
        "pg_said_again_alone",
        "what only this server holds is acknowledged when it is asked for again",
        "collector/ledger_pg.py",
        "            if not self._fresh:",
        "            if False:",
        f"{_LOSSES}::test_a_wait_for_the_standby_that_is_broken_off_acknowledges_nothing",
    ),
    _one(
        "pg_leases_wait_for_the_standby",
        "forwarders stop while the standby is away",
        "collector/leases.py",
        ', "synchronous_commit=local"',
        "",
        f"{_LOSSES}::test_a_standby_that_is_away_keeps_nobody_from_prolonging",
    ),
    _one(
        "pg_clock_ahead",
        "a dead worker of a lost primary whose clock was ahead keeps its partitions",
        "collector/leases.py",
        "NOT BETWEEN {_NOW} AND {_NOW} + {AHEAD_MS}",
        "< {_NOW}",
        f"{_LOSSES}::test_leases_of_a_clock_that_was_ahead_are_taken",
    ),
    _one(
        "pg_still_amid_copy",
        "a writer that stands still while it sends holds all others up",
        "collector/ledger_pg.py",
        "            self._db.execute(_END_STILL, (STILL_S, WRITE_LOCK))\n",
        "",
        f"{_LOSSES}::test_a_writer_that_stands_still_while_it_sends_is_ended_by_the_next",
    ),
    _one(
        "pg_sealed_alone",
        "a checkpoint covers what only one server holds",
        "collector/seal_lock.py",
        "        if self._is_held():\n            self._settle()\n",
        "        if self._is_held():\n",
        f"{_LOSSES}::test_nothing_is_sealed_that_may_be_on_one_server_only",
    ),
    _one(
        "pg_sums_made_twice",
        "two workers that start after an upgrade double all sums",
        "collector/ledger_write.py",
        "catch_up(self._be_alone)",
        "catch_up(lambda: None)",
        f"{_LOSSES}::test_two_workers_that_start_after_an_upgrade_make_the_sums_once",
    ),
    _one(
        "pg_lost_log_begun_anew",
        "a sealer whose own files were lost signs another root for a size that everybody knows",
        "collector/seal.py",
        "        self._check_mark(shard)\n",
        "",
        f"{_MARK}::test_a_new_machine_signs_nothing_under_the_name_of_the_lost_ones_log",
    ),
    _one(
        "pg_noted_too_late",
        "a checkpoint is shown before the ledger knows that it was signed",
        "collector/seal.py",
        "            self._note(shard, last)\n",
        "",
        f"{_MARK}::test_what_anybody_saw_is_noted_before",
    ),
    _one(
        "pg_waits_for_who_stands_still",
        "a worker that waits for another's partitions loses its own",
        "collector/leases.py",
        """        except sqlite3.Error as error:
            LOG.info("partitions that""",
        """        except ZeroDivisionError as error:
            LOG.info("partitions that""",
        f"{_LOSSES}::test_who_waits_for_the_partitions_of_one_that_stands_still_keeps_its_own",
    ),
    _one(
        "pg_two_writers",
        "two commit side by side, numbers no longer rise in the order of commits",
        "collector/ledger_pg.py",
        "pg_advisory_xact_lock(",
        "pg_advisory_xact_lock_shared(",
        f"{_PROMISES}::test_whoever_writes_is_alone_from_the_first_statement_to_commit",
    ),
    _one(
        "pg_standby_not_waited_for",
        "what is acknowledged is on one machine only",
        "collector/pg.py",
        "synchronous_commit=on",
        "synchronous_commit=local",
        f"{_PROMISES}::test_nothing_is_acknowledged_before_the_standby_has_it",
    ),
    _one(
        "pg_commit_left_to_the_server",
        "whether a commit is on any disk is the server's setting",
        "collector/pg.py",
        '"synchronous_commit=on"',
        '"application_name=w"',
        f"{_PROMISES}::test_nothing_is_acknowledged_before_the_standby_has_it",
    ),
    _one(
        "pg_idle_writer_stays",
        "a frozen machine holds every other writer up",
        "collector/ledger_pg.py",
        "idle_in_transaction_session_timeout=5000",
        "idle_in_transaction_session_timeout=0",
        f"{_PROMISES}::test_a_writer_that_stands_still_holds_nobody_up",
    ),
    _one(
        "pg_undone_commit_taken",
        "a group is acknowledged that the server undid, for a statement of it had failed",
        "collector/pg.py",
        'cursor.statusmessage != "COMMIT"',
        'cursor.statusmessage == ""',
        f"{_COPY}::test_a_commit_that_the_server_turns_into_a_rollback_is_an_error",
    ),
    _one(
        "pg_group_stays_open",
        "a group that fails while it is sent is not rolled back",
        "collector/pg.py",
        "_OPEN = {TransactionStatus.ACTIVE, ",
        "_OPEN = {",
        f"{_COPY}::test_a_group_that_fails_while_it_is_sent_leaves_nothing",
    ),
    _one(
        "pg_no_unique",
        "a group goes in of which some lie there already",
        "collector/schema/postgres_v1.sql",
        "CREATE UNIQUE INDEX entry_identity",
        "CREATE INDEX entry_identity",
        "tests/collector/test_ledger_contract.py",
    ),
    _one(
        "pg_lease_stolen",
        "a partition is taken from a worker that is there",
        "collector/leases.py",
        "NOT BETWEEN {_NOW} AND {_NOW} + {AHEAD_MS}",
        "NOT BETWEEN {_NOW} + 60000 AND {_NOW} + 60001",
        _HANDS,
    ),
    _one(
        "pg_lease_for_ever",
        "partitions of one that died stay with it",
        "collector/leases.py",
        "NOT BETWEEN {_NOW} AND {_NOW} + {AHEAD_MS}",
        "= 0 AND {_NOW} + {AHEAD_MS} > 0",
        _HANDS,
    ),
    _one(
        "pg_same_number",
        "a partition changes hands under the same number",
        "collector/leases.py",
        "fence = held.fence + 1",
        "fence = held.fence",
        _HANDS,
    ),
    _one(
        "pg_leases_outlive_their_end",
        "a worker that is cut off goes on as if it had its partitions",
        "collector/leases.py",
        "time.monotonic() < self._until_s else",
        "self._until_s else",
        f"{_PROMISES}::test_a_worker_that_is_cut_off_knows_that_its_leases_have_run_out",
    ),
    _one(
        "pg_two_of_one_name",
        "two workers share the leases of one name",
        "collector/leases.py",
        "pg_try_advisory_lock(?::int",
        "pg_try_advisory_lock_shared(?::int",
        f"{_WORKERS}::test_a_second_worker_gets_its_share_and_the_first_gets_it_back",
    ),
    _one(
        "pg_two_sealers",
        "two sign one log",
        "collector/seal_lock.py",
        "pg_try_advisory_lock(",
        "pg_try_advisory_lock_shared(",
        f"{_WORKERS}::test_one_sealer_at_a_time",
    ),
    _one(
        "pg_sealer_does_not_ask",
        "a sealer signs without the right to",
        "collector/seal_service.py",
        "            self._only.take()\n",
        "",
        _SEALER,
    ),
    _one(
        "pg_sealer_finds_out_one_by_one",
        "after a failover the log stands still for a minute",
        "collector/seal_service.py",
        "                    one.close()\n",
        "                    pass\n",
        _SEALER,
    ),
    _one(
        "pg_registry_not_asked",
        "a group is committed that an older registry judged",
        "collector/ledger_pg.py",
        "if self.registry is not None:",
        "if self.registry is not None and False:",
        f"{_REGISTRY}::test_what_was_judged_by_an_older_registry_is_not_committed",
    ),
    _one(
        "pg_older_registry_judges",
        "a copy that lags behind judges",
        "collector/registry_mirror.py",
        "newest != self.line",
        "newest < self.line",
        f"{_REGISTRY}::test_what_was_judged_by_an_older_registry_is_not_committed",
    ),
    _one(
        "pg_forward_fence_ignored",
        "a forwarder that lost a partition moves its cursor",
        "collector/forward_shared.py",
        "if held != self._fences:",
        "if not held:",
        f"{_FORWARD}::test_who_lost_a_partition_moves_no_cursor_and_one_that_starts_over_is_heard_by_all",
    ),
    _one(
        "pg_forward_fence_not_held",
        "a forwarder's partition changes hands before its cursor has moved",
        "collector/leases.py",
        " FOR SHARE",
        "",
        f"{_PROMISES}::test_a_forwarders_partition_stays_with_it_until_its_cursor_has_moved",
    ),
    _one(
        "pg_forward_mark_stays",
        "a sum that was touched again meanwhile is not written again",
        "collector/forward_shared.py",
        "excluded.hours, mark = held.mark + 1",
        "excluded.hours, mark = held.mark",
        f"{_FORWARD}::test_cursors_go_with_their_partitions_and_rollups_to_one",
    ),
    _one(
        "pg_evidence_changes",
        "the database's owner changes blocks of records",
        "collector/schema/postgres_v1.sql",
        "CREATE TRIGGER block_stays BEFORE UPDATE OR DELETE ON block FOR EACH ROW EXECUTE FUNCTION evidence_stays();\n",
        "",
        "tests/collector/test_postgres.py::test_evidence_stays_whoever_asks",
    ),
)
