import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender_site.operations import sealed
from recommender_site.operations.sealed import MAGIC, SALT_BYTES, SealBroken, SealedReader, SealedWriter

PASSPHRASE = "a passphrase of these tests"


@pytest.fixture(autouse=True, scope="module")
def _small_and_quick():
    """Blocks of 32 bytes, so that short texts have several; and a key that takes no time to derive."""
    patch = pytest.MonkeyPatch()
    patch.setattr(sealed, "BLOCK_BYTES", 32)
    patch.setattr(sealed, "Scrypt", lambda **how: sealed_scrypt(**{**how, "n": 2}))
    yield
    patch.undo()


sealed_scrypt = sealed.Scrypt


def seal(text: bytes, passphrase: str = PASSPHRASE) -> bytes:
    target = io.BytesIO()
    writer = SealedWriter(target, passphrase)
    for start in range(0, len(text), 7):
        writer.write(text[start : start + 7])
    writer.finish()
    return target.getvalue()


def unseal(file: bytes, passphrase: str = PASSPHRASE) -> bytes:
    source = io.BytesIO(file)
    assert source.read(len(MAGIC)) == MAGIC
    return io.BufferedReader(SealedReader(source, passphrase)).read()


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200))
def test_what_was_sealed_comes_out_again(text):
    assert unseal(seal(text)) == text


def test_the_same_text_is_never_sealed_alike_and_shows_nothing_of_itself():
    text = b"a car for sale " * 10
    assert seal(text) != seal(text)
    assert b"car" not in seal(text)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_changed_byte_is_noticed_wherever_it_is(data):
    file = bytearray(seal(b"x" * 100))
    position = data.draw(st.integers(len(MAGIC), len(file) - 1))
    file[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBroken):
        unseal(bytes(file))


def test_each_changed_bit_of_a_file_is_noticed():
    """The bytes of a length are few among many, and not encrypted: drawn ones miss them nearly always."""
    file = seal(b"x" * 40)
    for position in range(len(MAGIC), len(file)):
        for bit in range(8):
            changed = bytearray(file)
            changed[position] ^= 1 << bit
            with pytest.raises(SealBroken):
                unseal(bytes(changed))


@pytest.mark.parametrize("added", [b"\0", b"x" * 100])
def test_what_was_added_behind_the_end_is_noticed(added):
    with pytest.raises(SealBroken, match="added behind the end"):
        unseal(seal(b"x" * 100) + added)


@settings(max_examples=40, deadline=None)
@given(st.integers(len(MAGIC) + SALT_BYTES, 10_000))
def test_a_file_that_was_cut_off_is_noticed_wherever_it_was(length):
    file = seal(b"x" * 100)
    if length < len(file):
        with pytest.raises(SealBroken):
            unseal(file[:length])


def test_blocks_that_changed_places_are_noticed():
    file = seal(b"x" * 100)
    start, size = len(MAGIC) + SALT_BYTES, 4 + 32 + sealed.TAG_BYTES
    first, second = file[start : start + size], file[start + size : start + 2 * size]
    with pytest.raises(SealBroken):
        unseal(file[:start] + second + first + file[start + 2 * size :])


def test_another_passphrase_is_refused_by_name():
    with pytest.raises(SealBroken, match="passphrase"):
        unseal(seal(b"text"), "another passphrase")
