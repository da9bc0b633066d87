"""The entry by which C{twistd} knows C{ccrelay}; it imports nothing of ours until it is asked for."""

from twisted.application.service import ServiceMaker

ccrelay = ServiceMaker("ccrelay", "ccrelay.tap", "A relay for the Anthropic Messages API.", "ccrelay")
