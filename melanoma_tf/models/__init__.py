"""The networks: one `build_*` function each."""
