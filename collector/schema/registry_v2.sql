-- registry.db, version 2: measurement points, whose signed receipts are the second witness of a sample.
CREATE TABLE point (
  code TEXT PRIMARY KEY, vkey TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('active', 'revoked')),
  revoked_ms INTEGER
) STRICT, WITHOUT ROWID;
