"""Why a past transaction was decided as it was: from the archive, computed again to the last bit."""
