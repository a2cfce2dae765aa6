-- seal.db, version 4: what witnesses signed of our checkpoints: one line each, as it is published beneath them.
CREATE TABLE cosignature (
  shard INTEGER NOT NULL, size INTEGER NOT NULL, witness TEXT NOT NULL, time_s INTEGER NOT NULL, line BLOB NOT NULL,
  PRIMARY KEY (shard, size, witness), FOREIGN KEY (shard, size) REFERENCES checkpoint
) STRICT, WITHOUT ROWID;
