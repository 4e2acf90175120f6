"""Active learning: the model proposes places, the user answers, and the model follows."""
