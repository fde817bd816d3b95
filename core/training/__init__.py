"""Training: batches, loss, the loop that yields events, checkpoints, and the worker that keeps them. Heavy."""
