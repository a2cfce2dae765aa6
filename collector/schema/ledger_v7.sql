-- ledger.db, version 7: records by the third of a day that they began in, in place of their millisecond. A backlog of many
-- probes has each hour from all of them: by the millisecond every record would write a page of the index of its own.
DROP INDEX entry_t;
CREATE INDEX entry_third ON entry (t_ms / 28800000);
