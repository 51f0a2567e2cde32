"""Labelled data that people made, in the formats of annotation tools and corpora."""
