"""Scores of predictions, and the reports made from them."""
