"""What is missing, and in which order it would be built. Only reads; can be run again at will."""
