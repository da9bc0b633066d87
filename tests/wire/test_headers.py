"""The rules of header fields: who gets which, and which are never shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.wire.headers import OAUTH_BETA, downward, downward_resource, redacted, upward, without_beta
from ccrelay.wire.http import Pairs

KEY = b"sk-test-0123456789"
CREDENTIALS = (b"authorization", b"x-api-key", b"api-key", b"cookie", b"set-cookie", b"proxy-authorization")
PRIVATE = (
    *CREDENTIALS, b"host", b"connection", b"transfer-encoding", b"content-length", b"x-forwarded-for",
    b"forwarded", b"x-ccrelay-route", b"x-custom", b"accept-encoding", b"te", b"upgrade",
)  # fmt: skip
KNOWN = (
    b"anthropic-version", b"anthropic-beta", b"anthropic-new", b"x-stainless-timeout", b"content-type",
    b"x-claude-code-session-id", b"accept", b"user-agent", b"x-app", b"x-client-request-id",
    b"request-id", b"retry-after", b"x-should-retry", b"etag",
)  # fmt: skip
FIELDS = st.lists(st.tuples(st.sampled_from(PRIVATE + KNOWN), st.binary(max_size=8))).map(tuple)


class UpwardTests(SynchronousTestCase):
    """What a provider gets of the client's fields."""

    def test_what_anthropic_reads_goes_up(self) -> None:
        """Versions, betas, the SDK's and Claude Code's own fields go up as they came, new ones too."""
        fields = (
            (b"anthropic-version", b"2026-10-21"), (b"anthropic-beta", b"b, a"), (b"anthropic-beta", b"a"),
            (b"anthropic-tomorrow", b"1"), (b"x-stainless-timeout", b"NOT_GIVEN"),
            (b"x-claude-code-agent-id", b"7"),
            (b"user-agent", b"claude-cli/2"), (b"x-app", b"cli"), (b"content-type", b"application/json"),
        )  # fmt: skip
        self.assertEqual(upward(fields), fields)

    def test_what_is_the_clients_own_stays(self) -> None:
        """Credentials, cookies, addresses and the fields of the connection end at the relay."""
        self.assertEqual(upward(tuple((name, KEY) for name in PRIVATE)), ())

    @given(FIELDS)
    def test_nothing_is_changed(self, fields: Pairs) -> None:
        """What goes up is in the order it came, with the values it had."""
        names = {name for name, _ in upward(fields)}
        self.assertEqual(upward(fields), tuple(field for field in fields if field[0] in names))


class DownwardTests(SynchronousTestCase):
    """What the client gets of a provider's fields."""

    def test_what_clients_act_on_comes_down(self) -> None:
        """The request's id, when to try again and what Anthropic tells about limits come down."""
        fields = tuple(
            (name, b"1")
            for name in (
                b"request-id", b"retry-after", b"retry-after-ms", b"x-should-retry", b"content-type",
                b"anthropic-ratelimit-requests-remaining", b"anthropic-tomorrow",
            )
        )  # fmt: skip
        self.assertEqual(downward(fields), fields)

    def test_what_is_the_providers_own_stays(self) -> None:
        """Cookies, the server's name and the fields of the connection do not come down."""
        names = (b"set-cookie", b"server", b"cf-ray", b"connection", b"transfer-encoding", b"via", b"date")
        self.assertEqual(downward(tuple((name, b"1") for name in names)), ())

    def test_a_download_keeps_its_name(self) -> None:
        """A file comes with its name and its version, which an answer to a message has no use for."""
        fields = ((b"content-disposition", b"attachment"), (b"etag", b"1"), (b"last-modified", b"now"))
        self.assertEqual(downward_resource(fields), fields)
        self.assertEqual(downward(fields), ())
        request_id = (b"request-id", b"r")
        self.assertEqual(downward_resource(((b"set-cookie", b"1"), request_id)), (request_id,))


class BetaTests(SynchronousTestCase):
    """Taking a flag out."""

    def test_only_that_flag_goes(self) -> None:
        """The other flags stay in their order, and so do other fields, whatever their values."""
        app, other = (b"x-app", OAUTH_BETA), (b"anthropic-beta", b"c , d")
        fields = (app, (b"anthropic-beta", b"a, " + OAUTH_BETA + b",b"), other)
        self.assertEqual(without_beta(fields, OAUTH_BETA), (app, (b"anthropic-beta", b"a,b"), other))

    def test_a_field_without_flags_goes(self) -> None:
        """A field that held nothing else is not sent empty."""
        accept = (b"accept", b"x")
        self.assertEqual(without_beta(((b"anthropic-beta", OAUTH_BETA), accept), OAUTH_BETA), (accept,))

    def test_a_longer_flag_is_another(self) -> None:
        """A flag whose name only begins alike stays."""
        fields = ((b"anthropic-beta", OAUTH_BETA + b"-b"),)
        self.assertEqual(without_beta(fields, OAUTH_BETA), fields)


class RedactedTests(SynchronousTestCase):
    """What a log shows."""

    @given(FIELDS)
    def test_no_credential_is_shown(self, fields: Pairs) -> None:
        """The names are all there, the values of credentials and cookies are not."""
        shown = redacted(fields)
        self.assertEqual([name for name, _ in shown], [name for name, _ in fields])
        for (name, value), (_, seen) in zip(fields, shown, strict=True):
            self.assertEqual(seen, b"(redacted)" if name in CREDENTIALS else value)

    def test_the_token_of_an_aws_session_is_one(self) -> None:
        """What signs requests for AWS is not shown either."""
        name = b"x-amz-security-token"
        self.assertEqual(redacted(((name, KEY),)), ((name, b"(redacted)"),))
