"""Farm wheels into lock files that exist, and out again: edits at known places, everything else byte for byte. Pure."""
