"""Strategies that choose a batch as a whole: diverse, covering, clustered."""
