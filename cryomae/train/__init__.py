"""Training: fields to learn from, masked pretraining, few-shot training from exemplars."""
