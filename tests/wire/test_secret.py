"""The rules of a secret: it is put on the wire, and shown nowhere else."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from dataclasses import asdict, dataclass
from functools import partial

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.wire.secret import Secret

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=12)


def key() -> str:
    """Return a key that stands nowhere whole, so that what shows it has it from the secret."""
    return "sk-test-" + "0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Account:
    """Something that has a secret."""

    name: str
    key: Secret


class ShownTests(SynchronousTestCase):
    """What can be seen."""

    @given(KEYS)
    def test_only_the_last_four_characters_are_shown(self, text: str) -> None:
        """However a secret is printed, it is its last four characters."""
        secret = Secret(text)
        for shown in (str(secret), f"{secret}", "%s" % secret, format(secret), "{}".format(secret)):  # noqa: UP031, UP032
            self.assertEqual(shown, "…" + text[-4:])
        for shown in (repr(secret), f"{secret!r}", f"{[secret]}"[1:-1]):
            self.assertEqual(shown, f"<Secret …{text[-4:]}>")

    @given(st.text(max_size=11))
    def test_of_a_short_one_nothing_is_shown(self, text: str) -> None:
        """Four characters of a short password would be too much of it."""
        self.assertEqual(str(Secret(text)), "…")

    def test_whoever_holds_one_does_not_show_it(self) -> None:
        """The printed form of what a secret is part of has no more of it."""
        self.assertEqual(repr(Account("a", Secret(key()))), "Account(name='a', key=<Secret …cdef>)")

    def test_a_traceback_does_not_show_it(self) -> None:
        """Neither a traceback with all its variables nor Twisted's detailed one has the secret in it."""

        def fail(account: Account) -> None:
            raise ValueError(account)

        try:
            fail(Account("a", Secret(key())))
        except ValueError as error:
            told = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
            told += Failure(captureVars=True).getTraceback(detail="verbose")
        self.assertIn("…cdef", told)
        self.assertNotIn(key(), told)

    def test_it_does_not_leave_the_process(self) -> None:
        """It can be neither pickled, copied, turned into a dictionary nor encoded as JSON."""
        secret = Secret(key())
        for leave in (
            *(partial(pickle.dumps, secret, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)),
            lambda: copy.copy(secret),
            lambda: copy.deepcopy([secret]),
            lambda: asdict(Account("a", secret)),
            lambda: json.dumps(secret),
            lambda: msgspec.json.encode(Account("a", secret)),
            lambda: vars(secret),
        ):
            refusal = self.assertRaises(TypeError, leave)
            self.assertNotIn(key(), str(refusal))


class MatchesTests(SynchronousTestCase):
    """Telling whether it is the one."""

    @given(st.text(), st.text())
    def test_only_itself_matches(self, text: str, other: str) -> None:
        """A secret matches its own text and no other, of any characters."""
        assume(text != other)
        self.assertTrue(Secret(text).matches(text))
        self.assertFalse(Secret(text).matches(other))
        self.assertEqual(Secret(text), Secret(text))
        self.assertEqual(hash(Secret(text)), hash(Secret(text)))
        self.assertNotEqual(Secret(text), Secret(other))

    def test_bytes_that_are_no_text_match_too(self) -> None:
        """A key with bytes of another encoding, from the environment or a header field, can be compared."""
        text = b"sk-test-\xff\xfe".decode("utf-8", "surrogateescape")
        self.assertTrue(Secret(text).matches(text))
        self.assertFalse(Secret(text).matches("sk-test-"))

    def test_a_string_is_not_a_secret(self) -> None:
        """A comparison with plain text is False rather than a way round C{matches}."""
        self.assertNotEqual(Secret(key()), key())

    @given(st.text())
    def test_what_is_revealed_is_what_was_put_in(self, text: str) -> None:
        """The wire gets the secret unchanged."""
        self.assertEqual(Secret(text).reveal(), text)
