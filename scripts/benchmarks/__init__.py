"""Benchmarks, run by ``scripts/bench``: each prints what it measured, last a line of JSON."""
