"""Reports of many explanations: storage, summaries, evaluation and export."""
