"""Lock files and pyproject.toml to a `Demand`: one reader for each format. Pure: text in; nothing is looked up or run."""
