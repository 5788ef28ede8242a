"""Generative networks of lesion images: training, generation, novelty filter, scores."""
