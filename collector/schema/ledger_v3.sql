-- ledger.db, version 3: what measurement points signed of the transfers that records name: the second witness.
-- Content-addressed: a receipt says itself for which probe it is, whoever brought it. Never counted as a record.
CREATE TABLE receipt (
  n INTEGER PRIMARY KEY, leaf BLOB NOT NULL UNIQUE, probe TEXT NOT NULL, point TEXT NOT NULL, ticket TEXT NOT NULL,
  direction TEXT NOT NULL, signed_ms INTEGER NOT NULL, received_ms INTEGER NOT NULL, raw BLOB NOT NULL
) STRICT;
CREATE TRIGGER receipt_stays BEFORE DELETE ON receipt BEGIN
  SELECT raise(ABORT, 'receipts are evidence and stay');
END;
CREATE TRIGGER receipt_is_final BEFORE UPDATE ON receipt BEGIN
  SELECT raise(ABORT, 'receipts are evidence and never change');
END;
-- Which record names which receipt. A leaf that a second record names is a replay.
CREATE TABLE witness (
  leaf BLOB NOT NULL, record INTEGER NOT NULL, direction TEXT NOT NULL, PRIMARY KEY (leaf, record, direction)
) STRICT, WITHOUT ROWID;
