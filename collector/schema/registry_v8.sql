-- registry.db, version 8: who goes where (notes on probes, appended only), and who keeps the key of a house.
CREATE TABLE visit_note (
  n INTEGER PRIMARY KEY, probe TEXT NOT NULL, assignee TEXT NOT NULL, note TEXT NOT NULL,
  actor TEXT NOT NULL, recorded_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX visit_note_probe ON visit_note (probe, n);
-- A person's name and number: kept once, replaced or erased; the audit trail names neither.
CREATE TABLE caretaker (site TEXT PRIMARY KEY, name TEXT NOT NULL, phone TEXT NOT NULL) STRICT, WITHOUT ROWID;
