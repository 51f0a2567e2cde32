"""Wing 1: topics walk in; articles, proved labels, LlamaFactory files, recipes and runs walk out."""
