"""The only wiring: which adapter serves which port, for each role. One file per role; `configuration` is common."""
