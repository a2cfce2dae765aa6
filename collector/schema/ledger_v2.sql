-- ledger.db, version 2: deliveries that brought nothing new are kept in a bounded number, the oldest found at once.
CREATE INDEX delivery_idle ON delivery (n) WHERE accepted = 0;
