-- verdict.db, version 1: what is derived of every record, and what must be derived again. Nothing here is evidence:
-- `dosong-collector rebuild verdicts` makes all of it again. Written by `judge` only. Times are UTC milliseconds.
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
-- One row a record of the ledger, by its number. month: of Vietnam, as 2026_11; "" while the record is undated.
-- verdict: NULL until it was judged. hits: JSON, [[rule, {figure: value}], ...].
CREATE TABLE record (
  n INTEGER PRIMARY KEY, probe TEXT NOT NULL, month TEXT NOT NULL, t_ms INTEGER, verdict TEXT, hits TEXT
) STRICT;
CREATE INDEX record_probe ON record (probe, t_ms);
-- Months of probes that must be judged (again).
CREATE TABLE due (probe TEXT NOT NULL, month TEXT NOT NULL, since_ms INTEGER NOT NULL, PRIMARY KEY (probe, month))
  STRICT, WITHOUT ROWID;
-- What a probe's month says to neighbours: cells and series with the first record that had them, troubles.
CREATE TABLE trace_cell (
  probe TEXT NOT NULL, month TEXT NOT NULL, plmn TEXT NOT NULL, tac INTEGER NOT NULL, eci INTEGER NOT NULL,
  first_n INTEGER NOT NULL, site TEXT NOT NULL, lat_e7 INTEGER NOT NULL, lon_e7 INTEGER NOT NULL,
  PRIMARY KEY (probe, month, plmn, tac, eci)
) STRICT, WITHOUT ROWID;
CREATE INDEX trace_cell_by ON trace_cell (plmn, tac, eci);
CREATE INDEX trace_cell_site ON trace_cell (site, month);
CREATE TABLE trace_series (
  probe TEXT NOT NULL, month TEXT NOT NULL, digest TEXT NOT NULL, first_n INTEGER NOT NULL,
  PRIMARY KEY (probe, month, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX trace_series_by ON trace_series (digest);
CREATE TABLE trace_trouble (
  probe TEXT NOT NULL, month TEXT NOT NULL, plmn TEXT NOT NULL, begin_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL,
  lat_e7 INTEGER NOT NULL, lon_e7 INTEGER NOT NULL, PRIMARY KEY (probe, month, plmn, begin_ms)
) STRICT, WITHOUT ROWID;
CREATE INDEX trace_trouble_by ON trace_trouble (month, lat_e7);
-- Slots that a probe passed without a record of them.
CREATE TABLE empty_slot (
  probe TEXT NOT NULL, month TEXT NOT NULL, modem TEXT NOT NULL, slot_ms INTEGER NOT NULL, length_ms INTEGER NOT NULL,
  why TEXT NOT NULL, PRIMARY KEY (probe, month, modem, slot_ms)
) STRICT, WITHOUT ROWID;
