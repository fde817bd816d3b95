"""Rules over a profile: what each of its values means for this data, model and device, and what to change."""
