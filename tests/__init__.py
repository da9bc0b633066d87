"""The rules that ccrelay holds, room by room; in C{live} those that need sockets and processes."""

import os

from hypothesis import HealthCheck, settings

# A slow machine is no reason to fail, and a rule that holds does so on any of them.
# Thirty examples find nearly all that a hundred would; HYPOTHESIS_EXAMPLES=1000 looks longer.
settings.register_profile(
    "ccrelay",
    deadline=None,
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "30")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ccrelay")

HTTP = os.environ.get("CCRELAY_TEST_HTTP", "llhttp")
"""What speaks HTTP/1.1 in the relays under test: the rules are the same over `twisted`."""
