"""The nouns: frozen records that every room shares. Pure; imports `packaging`, `farm.errors` and each other."""
