"""Evaluation: how likely a model finds poems it was not trained on. Heavy."""
