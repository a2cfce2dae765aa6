-- seal.db, version 1: which leaf stands at which index of which log, and every checkpoint that was ever signed.
-- Written by `seal` only. A shard is one log of its own: one a year, and a new one after a restore of the ledger.
CREATE TABLE shard (
  n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, year INTEGER NOT NULL, gen INTEGER NOT NULL,
  first_leaf BLOB NOT NULL
) STRICT;
-- Leaves `first_index` and following are the rows `first_n` and following of `source`, without a hole.
CREATE TABLE run (
  shard INTEGER NOT NULL REFERENCES shard, first_index INTEGER NOT NULL, count INTEGER NOT NULL,
  source TEXT NOT NULL, first_n INTEGER NOT NULL,
  PRIMARY KEY (shard, first_index)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_source ON run (source, first_n);
CREATE TABLE checkpoint (
  shard INTEGER NOT NULL REFERENCES shard, size INTEGER NOT NULL, root BLOB NOT NULL,
  signed_ms INTEGER NOT NULL, note BLOB NOT NULL,
  PRIMARY KEY (shard, size)
) STRICT, WITHOUT ROWID;
-- Where a table of a restored ledger goes on: its rows up to `n` stand in earlier shards, byte for byte.
CREATE TABLE base (
  shard INTEGER NOT NULL REFERENCES shard, source TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (shard, source)
) STRICT, WITHOUT ROWID;
