"""Check data files and recipes against what LlamaFactory will do with them."""
