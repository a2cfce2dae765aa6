-- ledger.db, version 5: rollups that give exact medians, kept in the same transaction as the record; made again by
-- `rebuild rollups`, equal. A row is one hamlet, operator and local day; `hours` packs its 24 hours (collector/rollup_pack.py).
-- The sums of the whole day stand beside it, so that spans of days need no unpacking.
CREATE TABLE rollup_day (
  day_ms INTEGER NOT NULL, province TEXT NOT NULL, commune TEXT NOT NULL, hamlet TEXT NOT NULL, plmn TEXT NOT NULL,
  tests INTEGER NOT NULL, ok INTEGER NOT NULL, partial INTEGER NOT NULL, failed INTEGER NOT NULL,
  skipped INTEGER NOT NULL, counted INTEGER NOT NULL, invalid_path INTEGER NOT NULL,
  covered INTEGER NOT NULL, degraded INTEGER NOT NULL, no_service INTEGER NOT NULL, unknown INTEGER NOT NULL,
  coverages INTEGER NOT NULL, downlink_bytes INTEGER NOT NULL, uplink_bytes INTEGER NOT NULL, offline_ms INTEGER NOT NULL,
  last_received_ms INTEGER NOT NULL, last_t_ms INTEGER NOT NULL, hours BLOB NOT NULL,
  PRIMARY KEY (day_ms, province, commune, hamlet, plmn)
) STRICT, WITHOUT ROWID;
-- Sums of a commune and operator over a local day ('day') or month ('month'): what a page over the country reads.
CREATE TABLE rollup_total (
  span TEXT NOT NULL, start_ms INTEGER NOT NULL, province TEXT NOT NULL, commune TEXT NOT NULL, plmn TEXT NOT NULL,
  tests INTEGER NOT NULL, ok INTEGER NOT NULL, partial INTEGER NOT NULL, failed INTEGER NOT NULL,
  skipped INTEGER NOT NULL, counted INTEGER NOT NULL, invalid_path INTEGER NOT NULL,
  covered INTEGER NOT NULL, degraded INTEGER NOT NULL, no_service INTEGER NOT NULL, unknown INTEGER NOT NULL,
  coverages INTEGER NOT NULL, downlink_bytes INTEGER NOT NULL, uplink_bytes INTEGER NOT NULL, offline_ms INTEGER NOT NULL,
  downlink_n INTEGER NOT NULL, downlink_sum INTEGER NOT NULL, uplink_n INTEGER NOT NULL, uplink_sum INTEGER NOT NULL,
  rtt_n INTEGER NOT NULL, rtt_sum INTEGER NOT NULL,
  PRIMARY KEY (span, start_ms, province, commune, plmn)
) STRICT, WITHOUT ROWID;
DROP TABLE hour;
-- A record that was placed elsewhere afterwards: under which codes its points lie ("province commune hamlet").
ALTER TABLE redo ADD COLUMN was TEXT;
