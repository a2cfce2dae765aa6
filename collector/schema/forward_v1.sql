-- forward.db, version 1: how far InfluxDB has taken the ledger, and the lines that it will never take.
CREATE TABLE cursor (part INTEGER PRIMARY KEY, n INTEGER NOT NULL, redo INTEGER NOT NULL) STRICT;
CREATE TABLE parked (
  n INTEGER PRIMARY KEY, parked_ms INTEGER NOT NULL, reason TEXT NOT NULL, line TEXT NOT NULL UNIQUE
) STRICT;
