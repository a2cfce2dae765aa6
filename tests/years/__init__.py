"""Years of a probe and its collector in seconds: their pure cores over simulated disks, lines, clocks; a seed each.

What is real: `probe.core.chain` (publishing), `probe.core.schedule` (slots), `probe.core.backoff`,
`collector.core.accept` (places in the chain), `collector.core.tiles` (the log's tree),
`collector.forward_send.write_all`.
What is modelled: the disks below them, the broker, the network, the clocks and InfluxDB. That the models of spool and
ledger do as the real ones do is `test_models.py`; that the real programs keep the same promises is `tests/faults`.
Source: facts note 08 §7.3.
"""
