"""Images and records -> new ones: what is written once rather than made while training."""
