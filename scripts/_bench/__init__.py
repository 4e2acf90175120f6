"""Parts of ``scripts/benchmark_pick.py``."""
