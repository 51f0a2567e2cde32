"""etlch: synthetic data, LlamaFactory recipes and honest scores for small extraction models.

Two commands, `etlch-data` and `etlch-score`, meet only on disk: a run folder walks in
empty, collects articles, records, recipes, models and predictions, and leaves with scores.
"""

__version__ = "0.1.0"
