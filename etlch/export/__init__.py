"""Records to LlamaFactory data files, recipes and jobs."""
