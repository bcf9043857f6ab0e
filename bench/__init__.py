"""Benchmarks: figures side by side in one run with what they are measured against."""
