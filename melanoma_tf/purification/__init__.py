"""Removing hairs, rulers, ink and bubbles: classical algorithms and networks."""
