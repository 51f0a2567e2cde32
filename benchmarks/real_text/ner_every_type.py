"""The task ner with labels that name every type, those without a mention as an empty list.

A model that may leave types out decides with the first token of its answer which type comes first, before it has
looked for the others. `settings: {task_file: …}` of corpora.yaml takes this form of label.
"""

from dataclasses import replace

from etlch.tasks.base import flat_label
from etlch.tasks.ner import TASK as NER

TASK = replace(NER, render=lambda facts, keys, language: flat_label(facts, keys, keep_empty=True))
