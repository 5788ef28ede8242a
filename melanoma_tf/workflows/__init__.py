"""Whole experiments: several tasks, one after the other."""
