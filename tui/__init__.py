"""The terminal app. It reaches the core by its light rooms alone: no model library is ever loaded into its process."""
