"""Shards: working images of many micrographs in a few large files, made once, read in pieces.

`pack` makes them, `store` is what they look like on disk, `order` is the order in which
training goes through them.
"""
