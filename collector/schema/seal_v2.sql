-- seal.db, version 2: what was seen of tables that are no part of a log (deliveries, refusals): rows `first_n` to
-- `last_n` of a view had this digest when they were first seen. `gen`: a restored ledger is looked at anew.
CREATE TABLE watch (
  view TEXT NOT NULL, gen INTEGER NOT NULL, first_n INTEGER NOT NULL, last_n INTEGER NOT NULL, digest BLOB NOT NULL,
  PRIMARY KEY (view, gen, first_n)
) STRICT, WITHOUT ROWID;
