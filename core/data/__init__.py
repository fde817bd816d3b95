"""From a file of poems to training examples: rows, the recipe made of them, and the bundled sample. Light: no torch."""
