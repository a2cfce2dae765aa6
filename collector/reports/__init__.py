"""Reports in the form of an office: gathered from ledger and registry, kept as snapshots, drawn in every format."""
