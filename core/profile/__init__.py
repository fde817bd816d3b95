"""The profile: what it holds (schema), its text and the problems in it (document), what keys mean (reference)."""
