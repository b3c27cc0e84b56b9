"""Points of compromise: the report on an archive, and how well the finder does on simulated pasts."""
