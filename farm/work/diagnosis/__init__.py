"""What made a build fail, read off its log: streaming reader, rules as data, ranking, remedies. Pure."""
