"""The rules of HTTP as values: fields are found by name, and a request changes by being made anew."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ccrelay.wire.http import Pairs, UpstreamRequest, first, media_type

NAMES = st.sampled_from([b"a", b"b", b"authorization"])
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=3))).map(tuple)


class FieldTests(SynchronousTestCase):
    """Finding a field."""

    @given(FIELDS, NAMES)
    def test_the_first_counts(self, fields: Pairs, name: bytes) -> None:
        """Of a field that repeats the first is taken; one that is absent is None, not empty."""
        self.assertEqual(first(fields, name), next((value for key, value in fields if key == name), None))

    def test_the_media_type_without_its_parameters(self) -> None:
        """How the type is written and what it is followed by does not matter."""
        for value in (b"application/json", b"Application/JSON; charset=utf-8", b" application/json ;x"):
            self.assertEqual(media_type(((b"content-type", value),)), b"application/json")
        self.assertEqual(media_type(()), b"")


class UpstreamRequestTests(SynchronousTestCase):
    """Adding fields to a request."""

    @given(FIELDS, FIELDS)
    def test_a_field_that_is_set_is_the_only_one(self, before: Pairs, more: Pairs) -> None:
        """What is set replaces all of that name; the rest stays as it was, and so does the request itself."""
        request = UpstreamRequest("POST", "https://example.com/v1/messages", before, b"{}")
        after = request.adding(*more)
        names = {name for name, _ in more}
        self.assertEqual(after.headers, tuple(pair for pair in before if pair[0] not in names) + more)
        self.assertEqual((after.method, after.url, after.body), (request.method, request.url, request.body))
        self.assertEqual(request.headers, before)

    def test_it_cannot_be_changed(self) -> None:
        """An attempt that failed leaves nothing behind in the request of the next."""
        with self.assertRaises(AttributeError):
            UpstreamRequest("GET", "https://example.com/", ()).url = ""  # type: ignore[misc]
