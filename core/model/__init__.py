"""Models: loading, adapters, devices, and the pre-training of the built-in base. Heavy: imports torch."""
