"""Write records as LlamaFactory data files, recipes and jobs."""
