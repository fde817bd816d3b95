"""poemtui's headless core: data, profiles, runs, models, training, generation. Never imports `tui`, textual or rich."""

__version__ = "0.1.0"
