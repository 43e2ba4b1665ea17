"""The commands that need no engine, by what they are for; `farm.cli` registers them."""
