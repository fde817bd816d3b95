"""What is known of regulated verse: forms, 平水韻 rhyme groups, 平仄 patterns, and a poem judged by them. No model."""
