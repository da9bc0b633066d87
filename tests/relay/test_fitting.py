"""The rules of what one attempt sends: made to fit once, and mended once for each reason."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.policy.route import Route
from ccrelay.policy.verdict import Complaint, Verdict
from ccrelay.providers.registry import provider_of
from ccrelay.relay.fitting import Fitting, headers_for
from ccrelay.relay.lessons import Lessons
from ccrelay.relay.upstreams import Upstream
from ccrelay.wire.http import UpstreamRequest
from ccrelay.wire.request import MessagesRequest
from ccrelay.wire.thinking import family_of

NOW = 1_800_000_000.0
FLAG = "never-heard-of-2027-01-01"
OTHER = "nor-of-this-2027-02-02"
BODY = (
    b'{"model":"claude-sonnet-4-5","max_tokens":9,"speed":"fast","messages":[{"role":"user","content":"a"},'
    b'{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"Eq"},'
    b'{"type":"text","text":"b"}]},{"role":"user","content":"c"}]}'
)
PLAIN = b'{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{"role":"user","content":"a"}]}'
SIGNATURE = "messages.1.content.0: Invalid `signature` in `thinking` block"
MISSED = "a final `assistant` message must start with a thinking block"
SENT = UpstreamRequest("POST", "https://a.test/", ((b"authorization", b"Bearer t"),), b"{}")


class Backend:
    """A provider's name."""

    name = "a"


class Credential:
    """
    A credential that may be had anew.

    @ivar asked: what it was told was refused.
    """

    def __init__(self, *, another: bool) -> None:
        self.another = another
        self.asked: list[UpstreamRequest] = []

    def refused(self, request: UpstreamRequest) -> bool:
        self.asked.append(request)
        return self.another


def complaint(status: int, message: str, verdict: Verdict = Verdict.CLIENT) -> Complaint:
    """Return a refusal."""
    return Complaint(verdict, status, "x_error", message)


def refused_flag(name: str) -> Complaint:
    """Return a refusal of a flag."""
    return complaint(400, f"Unexpected value(s) `{name}` for the `anthropic-beta` header.")


class FittingTestCase(SynchronousTestCase):
    """A request for a provider of some kind."""

    def setUp(self) -> None:
        """Know nothing of anybody."""
        self.lessons = Lessons()

    def fitting(
        self, kind: str = "zai", content: bytes = BODY, *flags: str, learns: bool = True, model: str = ""
    ) -> Fitting:
        """Return what fits a request to a provider."""
        provider = provider_of(
            kind, "https://a.test", "none", has_key=True, region="us", project="p", resource="r"
        )
        nothing: Any = None
        backend: Any = Backend()
        upstream = Upstream(
            provider, nothing, backend, nothing, family=family_of(kind, "a"), learns=learns,
            lessons=self.lessons,
        )  # fmt: skip
        request = MessagesRequest.parse(content)
        headers = ((b"anthropic-beta", ",".join(flags).encode()),) if flags else ()
        return Fitting(request, headers, Route("a", None, model or request.model), upstream)

    def sent(self, fitting: Fitting) -> UpstreamRequest:
        """Return what is sent now."""
        return fitting.composed(b"", NOW, counting=False)

    def mends(self, fitting: Fitting, said: Complaint, credential: Any = None) -> bool:
        """Return whether a refusal is worth a repeat."""
        return fitting.mends(said, SENT, credential or Credential(another=False), NOW, counting=False)


class ComposeTests(FittingTestCase):
    """What is sent at first."""

    def test_nothing_has_to_go(self) -> None:
        """Where nothing has to go it is the client's very body, not even a copy, and nothing is told of."""
        for kind in ("zai", "anthropic", "azure"):
            fitting = self.fitting(kind, BODY, FLAG)
            self.assertIs(self.sent(fitting).body, fitting._request.body)
            self.assertEqual((fitting.dropped, fitting.mended), ((), ()))

    def test_what_goes(self) -> None:
        """Everything that went is told of by its name: flags, fields, thinking."""
        self.lessons.provenance.note("Eq", "ollama:o")
        fitting = self.fitting("vertex", BODY, "oauth-2025-04-20", FLAG)
        sent = self.sent(fitting)
        self.assertEqual(fitting.dropped, ("oauth-2025-04-20", "speed", "thinking"))
        self.assertNotIn(b"hm", sent.body)
        self.assertIn((b"anthropic-beta", FLAG.encode()), sent.headers)

    def test_added_header_fields(self) -> None:
        """A login of the client's own goes with its flag; one of our keys goes without."""
        headers = ((b"anthropic-beta", b"oauth-2025-04-20,a"), (b"x-app", b"cli"))
        self.assertEqual(headers_for(headers, pooled=False), headers)
        self.assertEqual(headers_for(headers, pooled=True), ((b"anthropic-beta", b"a"), headers[1]))


class CredentialTests(FittingTestCase):
    """A refused credential."""

    REFUSED = complaint(401, "expired", Verdict.KEY)

    def test_had_anew(self) -> None:
        """The credential is told what was refused; once, the request is repeated if there may be another."""
        fitting, credential = self.fitting(), Credential(another=True)
        self.sent(fitting)
        self.assertTrue(self.mends(fitting, self.REFUSED, credential))
        self.assertEqual((credential.asked, fitting.mended), ([SENT], ("credential",)))
        self.assertFalse(self.mends(fitting, self.REFUSED, credential))
        self.assertEqual(fitting.mended, ("credential",))

    def test_a_key(self) -> None:
        """One that cannot be had anew is not shown again."""
        fitting = self.fitting()
        self.sent(fitting)
        self.assertFalse(self.mends(fitting, self.REFUSED))
        self.assertEqual(fitting.mended, ())

    def test_other_refusals_of_a_key(self) -> None:
        """A limit, no credit and a lack of permission say nothing of its age: it is not asked."""
        for status in (402, 403, 429, 400):
            credential = Credential(another=True)
            self.assertFalse(self.mends(self.fitting(), complaint(status, "x", Verdict.KEY), credential))
            self.assertEqual(credential.asked, [])


class MendTests(FittingTestCase):
    """A refused request."""

    def test_each_once(self) -> None:
        """Each reason is mended once, one after the other; a second time it is the answer."""
        fitting, credential = self.fitting("zai", BODY, FLAG, OTHER), Credential(another=True)
        reasons = (
            (refused_flag(FLAG), "betas"),
            (complaint(400, SIGNATURE), "thinking"),
            (complaint(400, MISSED), "thinking_off"),
            (complaint(401, "x", Verdict.KEY), "credential"),
        )
        self.sent(fitting)
        for said, what in reasons:
            self.assertTrue(self.mends(fitting, said, credential), what)
            self.assertEqual(fitting.mended[-1], what)
            self.sent(fitting)
        for said, what in (*reasons, (refused_flag(OTHER), "betas")):
            self.assertFalse(self.mends(fitting, said, credential), what)
        self.assertEqual(len(fitting.mended), len(reasons))
        self.assertEqual(fitting.dropped[-1], "thinking")

    def test_before_anything_was_sent(self) -> None:
        """Without a request that was sent there is nothing to mend."""
        self.assertFalse(self.mends(self.fitting("zai", BODY, FLAG), refused_flag(FLAG)))

    def test_only_the_request_s_own_fault(self) -> None:
        """Words of a flag or a signature in a failure of the provider's mend nothing and teach nothing."""
        for verdict in (Verdict.KEY, Verdict.BUSY, Verdict.BROKEN):
            fitting = self.fitting("zai", BODY, FLAG)
            self.sent(fitting)
            for said in (refused_flag(FLAG).message, SIGNATURE):
                self.assertFalse(self.mends(fitting, complaint(400, said, verdict)))
        self.assertEqual(list(self.lessons.betas.shown(NOW)), [])

    def test_no_thinking(self) -> None:
        """Without thinking in the request a refused signature, or thinking that is missed, is the answer."""
        fitting = self.fitting("anthropic", PLAIN)
        self.sent(fitting)
        self.assertFalse(self.mends(fitting, complaint(400, SIGNATURE)))
        self.assertFalse(self.mends(fitting, complaint(400, MISSED)))

    def test_learning(self) -> None:
        """A lesson is the provider's and the model's; where nothing is to be learned, none is."""
        fitting = self.fitting("zai", BODY, FLAG, model="glm-4.7")
        self.sent(fitting)
        self.assertTrue(self.mends(fitting, refused_flag(FLAG)))
        (learned,) = self.lessons.betas.shown(NOW)
        self.assertEqual((learned.provider, learned.model), ("a", "glm-4.7"))
        self.assertEqual(self.sent(self.fitting("zai", BODY, FLAG, model="glm-4.7")).headers, ())
        off = self.fitting("zai", BODY, OTHER, learns=False)
        self.sent(off)
        self.assertFalse(self.mends(off, refused_flag(OTHER)))
        self.assertEqual(len(list(self.lessons.betas.shown(NOW))), 1)

    def test_nothing_new(self) -> None:
        """A refusal that would change nothing, or that is known already, is the answer at once."""
        fitting = self.fitting("zai", BODY, OTHER)
        self.sent(fitting)
        self.assertFalse(self.mends(fitting, refused_flag(FLAG)))
        self.assertFalse(self.mends(fitting, refused_flag(FLAG)))
        self.assertEqual(fitting.mended, ())
        self.assertEqual(list(self.lessons.betas.shown(NOW)), [])

    def test_several_at_once(self) -> None:
        """Requests that were under way together and are refused alike are each repeated."""
        together = [self.fitting("zai", BODY, FLAG) for _ in range(3)]
        for fitting in together:
            self.sent(fitting)
        self.assertEqual([self.mends(fitting, refused_flag(FLAG)) for fitting in together], [True] * 3)
        self.assertEqual([self.sent(fitting).headers for fitting in together], [()] * 3)
