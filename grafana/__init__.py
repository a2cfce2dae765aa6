"""Boards as code: the generator, what it generates, and the checks that need no Grafana server."""
