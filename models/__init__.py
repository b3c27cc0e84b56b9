"""Models: River learns, NumPy scores. Numbers in, numbers out; nothing here knows of cards, Kafka or the bank."""
