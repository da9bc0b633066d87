"""The rules of counting text: near the truth for what agents send, and as fast for any other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.wire.text_tokens import text_tokens

# Texts with their tokens, by the vocabularies and factors that text_tokens() names.
PROSE = (
    "A relay that loses its provider in the middle of an answer must say so. A connection that is closed "
    "politely looks to the client like the end of a short answer, and nobody would know that the rest is "
    "missing. So an error event goes out first, and only then is the connection closed. Operators find the "
    "reason in the log, with the name of the provider and the number of events that had come.\n"
)
CODE = '''\
def first(pairs: Pairs, name: bytes) -> bytes | None:
    """Return the first value of a header field, or None where it is absent."""
    for key, value in pairs:
        if key == name:
            return value
    return None


class Window:
    def __init__(self, clock: IReactorTime, limit: int) -> None:
        self._clock = clock
        self._limit = limit
        self._spent: deque[tuple[float, int]] = deque()

    def room(self) -> int:
        now = self._clock.seconds()
        while self._spent and self._spent[0][0] <= now - 60:
            self._spent.popleft()
        return self._limit - sum(tokens for _, tokens in self._spent)
'''
JSON = (
    '{"providers": [{"name": "main", "type": "anthropic", "enabled": true, '
    '"base_url": "https://api.anthropic.com", "keys": [{"key": "sk-test-1", "weight": 2, "rpm_limit": 50}, '
    '{"key": "sk-test-2", "weight": 1, "rpm_limit": null}], '
    '"timeout_ms": 600000, "models": ["claude-opus-5", "claude-haiku-4-5"]}], '
    '"routing": {"strategy": "failover", "sticky": true}}'
)
LOG = (
    "2026-11-23T23:41:07.113Z [info] ccrelay.relay: request=01JD8Z6W9Q2K route=main provider=zai "
    "status=429 ms=183 POST /v1/messages?beta=true\n"
    "2026-11-23T23:41:09.020Z [warn] ccrelay.policy: provider=zai breaker=open failures=5 retry_in=30s\n"
)
HEX = (
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 "
    "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752\n"
)
CHINESE = (
    "中继在请求失败时会换到下一个服务商，并把原因写进日志。"  # noqa: RUF001
    "如果所有服务商都不可用，客户端会收到一个错误，而不是一个空的回答。\n"  # noqa: RUF001
)
RUSSIAN = (
    "Если поставщик не отвечает, запрос уходит к следующему. Когда не отвечает никто, "
    "клиент получает ошибку с причиной каждого отказа, а не пустой ответ.\n"  # noqa: RUF001
)
GERMAN = (
    "Wenn ein Anbieter nicht antwortet, geht die Anfrage an den nächsten. Antwortet keiner, "
    "so bekommt der Aufrufer einen Fehler mit allen Gründen und keine leere Antwort.\n"
)


class TextTokensTests(SynchronousTestCase):
    """How many tokens a text is."""

    def test_what_agents_send_is_counted_nearly(self) -> None:
        """Prose, source, JSON, logs and hashes are a sixth off at most, though their words are not alike."""
        for text, tokens in ((PROSE, 95), (CODE, 192), (JSON, 143), (LOG, 111), (HEX, 92)):
            self.assertApproximates(text_tokens(text.encode()) / tokens, 1, 1 / 6, text)

    def test_other_languages_are_counted_too(self) -> None:
        """Text in other languages and scripts is a third off at most."""
        for text, tokens in ((CHINESE, 48), (RUSSIAN, 55), (GERMAN, 49)):
            self.assertApproximates(text_tokens(text.encode()) / tokens, 1, 1 / 3, text)

    @given(st.binary(), st.binary())
    def test_texts_add_up(self, one: bytes, other: bytes) -> None:
        """Lines count for themselves: a text has what its parts have, whatever the bytes are."""
        both = text_tokens(one + b"\n" + other)
        self.assertAlmostEqual(both, text_tokens(one) + text_tokens(b"\n") + text_tokens(other))

    @given(st.text(min_size=1).map(str.encode).filter(bytes.strip))
    def test_no_text_is_free(self, text: bytes) -> None:
        """Every text that is not all blank counts for something, and none for over three tokens a byte."""
        self.assertGreater(text_tokens(text), 0)
        self.assertLess(text_tokens(text), 3 * len(text) + 1)
