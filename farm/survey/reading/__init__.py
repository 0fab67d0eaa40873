"""The parts of reading a requirements file: lines, options, entries, and the faults found in them."""
