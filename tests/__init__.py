"""The rules that ccrelay holds, room by room; in C{live} those that need sockets and processes."""

from hypothesis import HealthCheck, settings

# A slow machine is no reason to fail, and a rule that holds does so on any of them.
settings.register_profile("ccrelay", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ccrelay")
