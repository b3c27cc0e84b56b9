"""The embedded broker does what the shared suite asks of any broker."""

from broker_suite.behaviour import *  # noqa: F403  # the suite's tests become this module's
