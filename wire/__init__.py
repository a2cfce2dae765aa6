"""The contract between probe, collector and verifier: records, signed notes, topics, metrics, log proofs."""
