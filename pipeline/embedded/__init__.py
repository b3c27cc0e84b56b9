"""The embedded servers: a Kafka-protocol broker and a Valkey store, each a process of its own, for the demo and tests."""
