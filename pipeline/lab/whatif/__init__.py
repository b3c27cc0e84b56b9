"""What if another policy, or another model, had decided: past decisions of the archive, decided again."""
