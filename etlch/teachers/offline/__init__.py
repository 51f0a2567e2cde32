"""The embedded teacher: draws facts from phrase data and writes articles around them."""
