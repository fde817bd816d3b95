"""What is in a data file, and what is wrong with it: counted, never changed."""
