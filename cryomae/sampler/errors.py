"""What can go wrong in the sampler."""


class SamplerError(ValueError):
    """A pool, a parameter or a request that cannot be sampled from; the message says the remedy."""


class MissingNeed(SamplerError):
    """A strategy or guard was asked for on a pool that lacks what it reads."""
