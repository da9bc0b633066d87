"""The strategies that reckon: by what a request will cost, and by how fast providers have answered."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.simulator.acts import Act, Says
from ccrelay.simulator.asked import Asked
from ccrelay.simulator.faults import Stalls
from tests.settings.sending import BROKEN, FINE, HAIKU, OPUS, SONNET, Chances, measure, sent, tried
from tests.stack import Stack, body

SMALL = body()
LARGE = body(system="word " * 16_000)  # 20,000 tokens or so
FOR_INPUT = {"input": 1, "output": 10}
FOR_OUTPUT = {"input": 10, "output": 1}
EVERY = "*"


def priced(self: Any, acts: Any, strategy: str = "cost_based", affinity: bool = True, **prices: Any) -> Stack:
    """Return a relay whose providers have these prices, or tables of prices by model."""
    fields = {
        name: {"price": price if any(isinstance(one, dict) for one in price.values()) else {EVERY: price}}
        for name, price in prices.items()
    }
    routing = {"strategy": strategy, "max_wait_ms": 0, "affinity": {"enabled": affinity}}
    return Stack(self, acts, {"routing": routing, "providers": fields})


class CostTests(SynchronousTestCase):
    """routing.strategy: cost_based."""

    ALL_BROKEN = {"a": [BROKEN], "b": [BROKEN], "c": [BROKEN]}  # noqa: RUF012
    FINE = {"a": [FINE], "b": [FINE]}  # noqa: RUF012
    USUAL = Says("x", usage={"output_tokens": 500})

    def test_cheapest(self) -> None:
        """The cheapest is asked first, then the next."""
        for name in ("cost_based", "cost-based"):
            for affinity in (True, False):
                prices = {"a": {"input": 3, "output": 15}, "b": {"input": 1, "output": 5}, "c": {"input": 2}}
                self.assertEqual(tried(priced(self, self.ALL_BROKEN, name, affinity, **prices)), "cba")

    def test_without_a_price(self) -> None:
        """Who has no price comes last, and who is free comes first; what is published is a price."""
        prices = {"b": {"input": 100, "output": 500}, "c": {"input": 0, "output": 0}}
        self.assertEqual(tried(priced(self, self.ALL_BROKEN, **prices)), "cab")
        fields = {name: {"price": {EVERY: price}} for name, price in prices.items()}
        fields["a"] = {"model_mapping": {"claude-*": "unheard-of"}}
        routing = {"strategy": "cost_based", "max_wait_ms": 0}
        stack = Stack(self, self.ALL_BROKEN, {"routing": routing, "providers": fields})
        self.assertEqual(tried(stack), "cba")

    def test_equals(self) -> None:
        """Who costs the same is asked as in the file."""
        prices = {name: {"input": 3, "output": 15} for name in "abc"}
        self.assertEqual(tried(priced(self, self.ALL_BROKEN, **prices)), "abc")

    def test_size(self) -> None:
        """A large request goes where input is cheap, and a small one where output is."""
        for one, other in ((FOR_INPUT, FOR_OUTPUT), (FOR_OUTPUT, FOR_INPUT)):
            stack = priced(self, {"a": [self.USUAL], "b": [self.USUAL]}, a=one, b=other)
            went = sent(stack, content=LARGE) + sent(stack, content=SMALL)
            self.assertEqual(went, "ab" if one is FOR_INPUT else "ba")

    def test_what_answers_usually_have(self) -> None:
        """The longer the model's answers were, the more the price of output counts."""
        long = Says("x", usage={"output_tokens": 60_000})
        stack = priced(self, {"a": [long], "b": [long]}, a=FOR_INPUT, b=FOR_OUTPUT)
        self.assertEqual(sent(stack, 3, content=LARGE), "abb")
        self.assertEqual(sent(stack, content=body(system="word " * 16_000, model=HAIKU)), "a")

    def test_a_turn_that_was_read_from_the_cache(self) -> None:
        """What a conversation's last turn had cost is expected again, and not all of its text."""
        usage = {"input_tokens": 10, "cache_read_input_tokens": 20_000, "output_tokens": 500}
        read = Says("x", usage=usage)
        stack = priced(self, {"a": [read], "b": [read]}, affinity=False, a=FOR_INPUT, b=FOR_OUTPUT)
        self.assertEqual(sent(stack, content=LARGE, name="s"), "a")
        self.assertEqual(sent(stack, content=LARGE, name="s"), "b")
        self.assertEqual(sent(stack, content=LARGE, name="t"), "a")

    def test_pictures(self) -> None:
        """A picture is as large as what it costs, not as its base64."""
        source = {"type": "base64", "media_type": "image/png", "data": "A" * 64_000}
        messages = [{"role": "user", "content": [{"type": "image", "source": source}]}]
        # 1,600 tokens at most: half the price of input does not make up for ten times that of output.
        stack = priced(self, self.FINE, a={"input": 4, "output": 1}, b={"input": 2, "output": 10})
        self.assertEqual(sent(stack, content=body(messages=messages)), "a")
        self.assertEqual(sent(stack, content=body(system="word " * 12_800)), "b")

    def test_price_of_a_model(self) -> None:
        """Each model has its own price; what the table does not name has that of all others, or none."""
        first = {OPUS: {"input": 5}, HAIKU: {"input": 1}}
        second = {OPUS: {"input": 4}, HAIKU: {"input": 2}, EVERY: {"input": 90}}
        stack = priced(self, self.FINE, a=first, b=second)
        went = [sent(stack, content=body(model=model)) for model in (OPUS, HAIKU, SONNET, f"{OPUS}[1m]")]
        self.assertEqual(went, ["b", "a", "b", "b"])

    def test_price_by_the_provider_s_name(self) -> None:
        """The price of the name that a model has at the provider goes before that of what was asked for."""
        tables = {"a": {"input": 3}, "b": {"glm-4.7": {"input": 1}, SONNET: {"input": 9}}}
        fields = {"a": {"price": {EVERY: tables["a"]}}}
        for mapping, expected in (({}, "a"), ({SONNET: "glm-4.7"}, "b")):
            own = fields | {"b": {"price": tables["b"], "model_mapping": mapping}}
            stack = Stack(self, self.FINE, {"routing": {"strategy": "cost_based"}, "providers": own})
            self.assertEqual(sent(stack), expected)

    def test_under_another_strategy(self) -> None:
        """Prices say nothing to the other strategies."""
        self.assertEqual(sent(priced(self, self.FINE, "failover", a={"input": 9}, b={"input": 1})), "a")


class LatencyTests(SynchronousTestCase):
    """routing.strategy: latency_based."""

    STREAM = body(stream=True)

    def setUp(self) -> None:
        """Let chance begin nowhere but at the fastest."""
        self.chance = Chances(always=0.9)
        self.seconds: dict[str, float] = {}

    def stack(self, strategy: str = "latency_based", *, known: bool = True, **seconds: float) -> Stack:
        """
        Return a relay whose providers take so long to begin; those that take no time fail.

        @param known: whether the relay knows that.
        """
        self.seconds = seconds

        def acts(asked: Asked) -> Act:
            seconds = self.seconds[asked.header("host") or ""]
            return Stalls(before_head=True, seconds=seconds, act=Says("x")) if seconds else BROKEN

        settings = {"routing": {"strategy": strategy}}
        stack = Stack(self, dict.fromkeys(seconds, acts), settings, chance=self.chance)
        if known:
            measure(stack, self.chance)
        return stack

    def test_fastest(self) -> None:
        """The fastest is asked, and after it the next."""
        for name in ("latency_based", "latency-based"):
            for fastest in "abc":
                seconds = {"a": 4.0, "b": 3.0, "c": 2.0} | {fastest: 1.0}
                stack = self.stack(name, **seconds)
                self.assertEqual(sent(stack, 3, 5, self.STREAM), fastest * 3)
                second = "b" if fastest == "c" else "c"
                self.seconds[fastest] = 0
                self.assertEqual(tried(stack, self.STREAM, seconds=5), fastest + second)

    def test_one_in_twenty(self) -> None:
        """Where chance is below a twentieth a new conversation begins elsewhere, at each as likely."""
        stack = self.stack(a=4, b=1, c=2)
        went = ""
        for self.chance.given in ([0.05], [0.049, 0.0], [0.049, 0.49], [0.0, 0.5], [0.0, 0.99], [0.05]):
            went += sent(stack, 1, 5, self.STREAM)
        self.assertEqual(went, "bccaab")

    def test_moving_average(self) -> None:
        """Who becomes slow is left once the average of its answers says so: a fifth of it is the newest."""
        for slower, went in ((9, "baa"), (3, "bbbba")):  # 1 and then 2.6; or 1.4, 1.72, 1.976, 2.18
            stack = self.stack(a=2, b=1)
            self.seconds["b"] = slower
            self.assertEqual(sent(stack, len(went), 12, self.STREAM), went)

    def test_unmeasured(self) -> None:
        """Answers that are not streamed measure nobody."""
        stack = self.stack(known=False, a=4, b=1)
        self.chance.given = [0.0, 0.0]
        self.assertIn("b", sent(stack, 3, 5))
        self.assertEqual([u.backend.traffic.first_byte.seconds for u in stack.upstreams.listed], [None, None])

    def test_a_conversation_stays(self) -> None:
        """A conversation stays where it is, however fast another one is."""
        stack = self.stack(a=4, b=1)
        self.chance.given = [0.0, 0.0]
        went = sent(stack, 1, 5, self.STREAM, name="s") + sent(stack, 2, 5, self.STREAM)
        self.assertEqual(went + sent(stack, 2, 5, self.STREAM, name="s"), "abbaa")
