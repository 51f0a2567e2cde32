"""Settings, records, errors, prompts and the files of a run."""
