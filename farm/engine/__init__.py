"""Many jobs: the pure machine and the drivers that give it hands."""
