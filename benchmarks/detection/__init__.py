"""The comparison of `benchmarks/detection_quality.py`: other models on the features that Cardwatch's own model saw."""
