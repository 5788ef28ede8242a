"""The evaluation report as one HTML file: content, charts, pages."""
