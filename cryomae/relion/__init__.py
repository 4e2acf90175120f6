"""cryomae as External jobs of RELION 3.1, 4 and 5: picking and few-shot training."""
