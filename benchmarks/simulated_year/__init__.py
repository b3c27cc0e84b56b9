"""A bank's customers, their telephone companies and its agents for a year, around the real contact role.

`year` runs one profile's customers; `judge` looks at what came of it, by rules of its own; `figures` counts.
"""
