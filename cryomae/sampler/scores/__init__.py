"""Scores of single candidates, and the strategies that take the highest."""
