"""Encryption at rest: what was sealed opens with its key and purpose, and with nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.core.encryption import CannotOpen, is_sealed_with_first, seal, unseal
from postroom.core.keys import Keys

OLD, NEW = Keys((b"o" * 32,)), Keys((b"n" * 32,))
BOTH = Keys((*NEW.all, *OLD.all))
PURPOSE = "credential:application:1:secret"


@given(st.text())
def test_what_was_sealed_opens_again(secret: str):
    assert unseal(seal(secret, PURPOSE, NEW), PURPOSE, NEW) == secret


def test_the_secret_is_not_in_the_sealed_value_and_no_two_are_alike():
    first, second = seal("open sesame", PURPOSE, NEW), seal("open sesame", PURPOSE, NEW)
    assert b"sesame" not in first
    assert first != second


def test_a_value_moved_to_another_record_does_not_open():
    with pytest.raises(CannotOpen, match="another record"):
        unseal(seal("x", PURPOSE, NEW), "credential:application:2:secret", NEW)


@given(st.data())
def test_a_changed_value_does_not_open(data: st.DataObject):
    sealed = bytearray(seal("open sesame", PURPOSE, NEW))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CannotOpen):
        unseal(bytes(sealed), PURPOSE, NEW)


def test_a_lost_key_is_named_as_the_cause():
    with pytest.raises(CannotOpen, match="not in POSTROOM_KEY"):
        unseal(seal("x", PURPOSE, OLD), PURPOSE, NEW)


def test_keys_rotate_old_values_open_new_ones_use_the_first():
    old = seal("x", PURPOSE, OLD)
    assert unseal(old, PURPOSE, BOTH) == "x"
    assert not is_sealed_with_first(old, BOTH)
    assert is_sealed_with_first(seal("x", PURPOSE, BOTH), BOTH)
