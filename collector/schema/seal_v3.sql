-- seal.db, version 3: records are proved by their chain's hashes when they come; here their own signatures are checked.
-- Up to which record that was done, in which generation of the ledger; and the records whose own signature fails.
CREATE TABLE audited (id INTEGER PRIMARY KEY CHECK (id = 1), gen INTEGER NOT NULL, n INTEGER NOT NULL) STRICT;
CREATE TABLE unsigned (
  id INTEGER PRIMARY KEY, n INTEGER NOT NULL, leaf BLOB NOT NULL UNIQUE, found_ms INTEGER NOT NULL
) STRICT;
