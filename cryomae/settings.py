"""Settings of a picking run: validated at the boundary, saved beside every output."""

from pydantic import BaseModel, ConfigDict, Field


class PickSettings(BaseModel):
    """What a user can choose about picking.

    Every length that a user gives is in Å.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    diameter: float = Field(gt=0, description="Particle diameter in Å (its longest dimension).")
    min_distance: float | None = Field(
        default=None,
        gt=0,
        description="Least distance between two picks in Å; default half the diameter.",
    )
    threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Score from 0 to 1 that a pick must reach; default automatic.",
    )
    max_picks: int | None = Field(
        default=None,
        gt=0,
        description="Most picks kept in one micrograph, best first; default no limit.",
    )
    model: str = Field(
        default="default", description="Name of a shipped model or path of a model file."
    )

    @property
    def least_distance(self) -> float:
        """Least distance between two picks in Å, with its default filled in."""
        return self.diameter / 2 if self.min_distance is None else self.min_distance
