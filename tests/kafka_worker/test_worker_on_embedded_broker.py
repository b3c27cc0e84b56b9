"""The worker's promises on the embedded broker."""

from kafka_worker.behaviour import *  # noqa: F403 - the tests are the module's content
