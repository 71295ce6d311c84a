"""The compiled part: graphs and their measures, products, and the rest of a training step."""
