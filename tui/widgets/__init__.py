"""Widgets that know nothing of poems or runs."""
