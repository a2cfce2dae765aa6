"""Identity and configuration: keys, certificates, broker files, registry import."""
