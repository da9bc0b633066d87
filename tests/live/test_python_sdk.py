"""The rules of the relay as Anthropic's Python SDK sees it: as it sees the provider."""

import asyncio
from collections.abc import Callable
from typing import Any

import anthropic
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from ccrelay.relay.events import CLIENT_LEFT
from ccrelay.simulator.acts import Refuses, Says
from ccrelay.simulator.faults import Breaks, Stalls
from ccrelay.simulator.messages import signature
from tests.live.acts import ANSWERS, BASH, ERRS, INTERRUPTED, READ, STATUSES, by_model, refuses
from tests.live.relay import LiveRelay, Provider

ASKED: dict[str, Any] = {"max_tokens": 500, "messages": [{"role": "user", "content": "Hello"}]}
MANY = 100


def client(url: str, **options: Any) -> anthropic.Anthropic:
    """Return the SDK's client; nothing here is TLS, so it need not read certificates."""
    options = {"max_retries": 0, "timeout": 30, **options}
    http = anthropic.DefaultHttpxClient(verify=False)
    return anthropic.Anthropic(base_url=url, api_key="sk-test-sdk", http_client=http, **options)


def async_client(url: str) -> anthropic.AsyncAnthropic:
    """Return the SDK's client for asyncio."""
    http = anthropic.DefaultAsyncHttpxClient(verify=False)
    return anthropic.AsyncAnthropic(
        base_url=url, api_key="sk-test-sdk", http_client=http, max_retries=0, timeout=30
    )


def answers(url: str) -> dict[str, Any]:
    """Return what the SDK makes of each answer: whole, gathered from its stream, and event by event."""
    seen = {}
    with client(url) as sdk:
        for model in ANSWERS:
            whole = sdk.messages.create(model=model, **ASKED)
            with sdk.messages.stream(model=model, **ASKED) as stream:
                gathered = stream.get_final_message()
                ident = stream.request_id
            events = [event.to_dict() for event in sdk.messages.create(model=model, stream=True, **ASKED)]
            seen[model] = (whole.to_dict(), whole._request_id, gathered.to_dict(), ident, events)
    return seen


async def async_answers(url: str) -> dict[str, Any]:
    """Return the same of the client for asyncio."""
    seen = {}
    async with async_client(url) as sdk:
        for model in ANSWERS:
            whole = await sdk.messages.create(model=model, **ASKED)
            async with sdk.messages.stream(model=model, **ASKED) as stream:
                gathered = await stream.get_final_message()
                ident = stream.request_id
            raw = await sdk.messages.create(model=model, stream=True, **ASKED)
            events = [event.to_dict() async for event in raw]
            seen[model] = (whole.to_dict(), whole._request_id, gathered.to_dict(), ident, events)
    return seen


def told(error: anthropic.APIStatusError) -> tuple[Any, ...]:
    """Return all that an exception of the SDK's tells a program."""
    wait = error.response.headers.get("retry-after")
    return type(error).__name__, error.status_code, error.message, error.body, error.request_id, wait


def refusal(url: str, **asked: Any) -> tuple[Any, ...]:
    """Return what the SDK raises for a request."""
    with client(url) as sdk:
        try:
            sdk.messages.create(**{"model": "m", **ASKED, **asked})
        except anthropic.APIStatusError as error:
            return told(error)
    return ()


async def async_refusal(url: str, **asked: Any) -> tuple[Any, ...]:
    """Return what the client for asyncio raises for a request."""
    async with async_client(url) as sdk:
        try:
            await sdk.messages.create(**{"model": "m", **ASKED, **asked})
        except anthropic.APIStatusError as error:
            return told(error)
    return ()


def raw(url: str, model: str) -> tuple[list[str], tuple[Any, ...]]:
    """Return the text of a stream's events, and what was raised at its end."""
    texts = []
    with client(url) as sdk:
        try:
            for event in sdk.messages.create(model=model, stream=True, **ASKED):
                if event.type == "content_block_delta":
                    texts.append(event.delta.text)  # noqa: PERF401  an exception may follow
        except anthropic.APIStatusError as error:
            return texts, told(error)
    return texts, ()


async def gathered(url: str, model: str) -> tuple[list[str], tuple[Any, ...]]:
    """Return the same of the helper for streams and asyncio."""
    texts = []
    async with async_client(url) as sdk:
        try:
            async with sdk.messages.stream(model=model, **ASKED) as stream:
                async for text in stream.text_stream:
                    texts.append(text)  # noqa: PERF401  what came before the exception counts
                await stream.get_final_message()
        except anthropic.APIStatusError as error:
            return texts, told(error)
    return texts, ()


def run(work: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    """Return what a coroutine function returns, in a thread."""
    return deferToThread(lambda: asyncio.run(work(*arguments, **more)))
AT_ONCE = {"routing": {"max_wait_ms": 0}}  # nothing is repeated in place: what fails is told


class PythonSdkTests(TestCase):
    """The published package, sync and async, over loopback."""

    timeout = 60

    def ways(self, acts: Any) -> tuple[str, str]:
        """Return the URLs of a provider and of a relay to one that does the same."""
        return Provider(self, acts).url, LiveRelay(self, Provider(self, acts), AT_ONCE).url

    async def test_answers(self) -> None:
        """Text, thinking and parallel tools are the provider's: whole, as a stream, and event by event."""
        straight, relayed = self.ways(by_model)
        seen = await deferToThread(answers, relayed)
        self.assertEqual(seen, await deferToThread(answers, straight))
        for whole, _, streamed, _, _ in seen.values():
            self.assertEqual(whole["content"], streamed["content"])
        tools = [block for block in seen["tools"][0]["content"] if block["type"] == "tool_use"]
        self.assertEqual([(tool["name"], tool["input"]) for tool in tools], [("Read", READ), ("Bash", BASH)])
        thought = seen["thinking"][0]["content"][0]
        self.assertEqual(thought["signature"], signature("Let me think about that."))

    async def test_answers_async(self) -> None:
        """The same holds for asyncio."""
        straight, relayed = self.ways(by_model)
        seen = await run(async_answers, relayed)
        self.assertEqual(seen, await run(async_answers, straight))
        self.assertEqual(list(seen), list(ANSWERS))

    async def test_refusals(self) -> None:
        """Each error is the exception that it is without the relay, with the provider's words and id."""
        for status in STATUSES:
            for stream in (False, True):
                straight, relayed = self.ways([refuses(status)])
                seen = await deferToThread(refusal, relayed, stream=stream)
                self.assertEqual(seen, await deferToThread(refusal, straight, stream=stream))
                self.assertEqual((seen[1], seen[4]), (status, f"req_provider_{status}"))
                _, relayed = self.ways([refuses(status)])  # the other one's key may not be used any more
                self.assertEqual(seen, await run(async_refusal, relayed, stream=stream))

    async def test_retry_after(self) -> None:
        """A 429 is asked again when its Retry-After is over, and then answered."""
        provider = Provider(self, [Refuses(429, headers=((b"retry-after", b"1"),)), Says("later")])
        relay = LiveRelay(self, provider)

        def ask() -> Any:
            with client(relay.url, max_retries=1) as sdk:
                return sdk.messages.create(model="m", **ASKED)

        message = await deferToThread(ask)
        self.assertEqual(message.content[0].text, "later")
        first, second = provider.asked
        self.assertGreater(second.at - first.at, 0.9)  # by itself the SDK waits half a second at most

    async def test_interrupted(self) -> None:
        """A stream that the provider breaks off, even cleanly, raises; what was whole of it was delivered."""
        provider = Provider(self, by_model)
        for model in INTERRUPTED:
            relay = LiveRelay(self, provider)
            for texts, raised in (
                await deferToThread(raw, relay.url, model),
                await run(gathered, relay.url, model),
            ):
                self.assertEqual("".join(texts), "one two th")
                name, status, _, body, ident, _ = raised
                self.assertEqual((name, status), ("APIStatusError", 200))
                self.assertEqual(body["error"]["type"], "api_error")
                self.assertTrue(ident)

    async def test_interrupted_whole(self) -> None:
        """An answer without a stream that the provider breaks off is a 502, not half an answer."""
        for how in ("reset", "cut", "end"):
            relay = LiveRelay(self, Provider(self, [Breaks(how=how, act=Says("whole"))]), AT_ONCE)
            name, status, _, body, _, _ = await deferToThread(refusal, relay.url)
            self.assertEqual((name, status, body["error"]["type"]), ("InternalServerError", 502, "api_error"))

    async def test_error_event(self) -> None:
        """An error inside a stream is the exception that it is without the relay."""
        straight, relayed = self.ways([ERRS])
        seen = await deferToThread(raw, relayed, "m")
        self.assertEqual(seen, await deferToThread(raw, straight, "m"))
        self.assertEqual(seen[1][3]["error"]["type"], "overloaded_error")

    async def test_the_rest(self) -> None:
        """Counts of tokens, the list of models and each of its entries are the provider's."""

        def ask(url: str) -> Any:
            with client(url) as sdk:
                count = sdk.messages.count_tokens(model="m", messages=ASKED["messages"])
                listed = [model.to_dict() for model in sdk.models.list(limit=3)]
                return count.to_dict(), listed, sdk.models.retrieve(listed[0]["id"]).to_dict()

        straight, relayed = self.ways(())
        seen = await deferToThread(ask, relayed)
        self.assertEqual(seen, await deferToThread(ask, straight))
        self.assertEqual(seen[1][0], seen[2])

    async def test_many(self) -> None:
        """A hundred streams at once are each whole and each its own, and every connection is given back."""
        relay = LiveRelay(self, Provider(self))

        async def ask(sdk: Any, number: int) -> Any:
            said = {"role": "user", "content": f"number {number} of them"}
            async with sdk.messages.stream(model="m", max_tokens=500, messages=[said]) as stream:
                return await stream.get_final_message()

        async def ask_all() -> Any:
            async with async_client(relay.url) as sdk:
                return await asyncio.gather(*[ask(sdk, number) for number in range(MANY)])

        for number, message in enumerate(await run(ask_all)):
            self.assertIn(f"number {number} of them", message.content[0].text)
            self.assertEqual(message.stop_reason, "end_turn")
        await relay.idle()
        one = relay.upstreams["one"].client
        self.assertEqual(one.free, one.limit)

    async def test_client_leaves(self) -> None:
        """A client that breaks off a stream ends it at the provider, too."""
        provider = Provider(self, [Stalls(after_events=4, act=Says("one two", pieces=2))])
        relay = LiveRelay(self, provider)

        def leave() -> str:
            with client(relay.url) as sdk, sdk.messages.stream(model="m", **ASKED) as stream:
                return next(iter(stream)).type

        self.assertEqual(await deferToThread(leave), "message_start")
        [asked] = provider.asked
        await asked.ended()
        self.assertTrue(asked.gone)
        await relay.idle()
        [ended] = relay.told.requests
        self.assertEqual(ended.why, CLIENT_LEFT)
