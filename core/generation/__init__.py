"""Generation: which model completes what prompt, and the completions, streamed character by character. Heavy."""
