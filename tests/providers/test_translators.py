"""The rules of the translators of streamed answers, over each kind that has one of its own."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.providers.interfaces import ITranslator
from ccrelay.providers.ollama import Ollama
from ccrelay.providers.registry import KINDS
from ccrelay.providers.translators import PassThrough
from tests.providers.contract import TranslatorContract, made


class PassThroughTests(TranslatorContract, SynchronousTestCase):
    """The watcher of Anthropic's own format."""

    def translator(self) -> ITranslator:
        return PassThrough()

    def test_a_chunk_is_not_copied(self) -> None:
        """The usual case costs nothing: whole events go on as the very object that came."""
        chunk = b'event: content_block_delta\ndata: {"index":0}\n\n'
        self.assertIs(PassThrough().feed(chunk), chunk)

    def test_each_answer_has_its_own(self) -> None:
        """What one answer is at says nothing of another: every translator is new."""
        for kind in KINDS:
            provider = made(kind, "http://upstream.test")
            self.assertIsNot(provider.translator(), provider.translator())


class OllamaTranslatorTests(TranslatorContract, SynchronousTestCase):
    """Ollama's, which has nothing to do where nothing is missing."""

    def translator(self) -> ITranslator:
        return Ollama("http://upstream.test").translator()
