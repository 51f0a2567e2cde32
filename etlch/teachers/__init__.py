"""Who writes articles and labels: a language model, label-first, the offline teacher."""
