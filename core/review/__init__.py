"""The review of a data file with a profile: everything measured, judged and laid out as a report."""
