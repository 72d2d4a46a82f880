"""Tests of bcrypt hashes against the hashes of another implementation."""

from __future__ import annotations

from base64 import b64decode

import pytest

from compose import bcrypt


def salt_of(hashed: str) -> bytes:
    """Returns the salt of a hash: 22 characters after the last "$", in bcrypt's own base64."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    own = str.maketrans(f"./{letters}0123456789", f"{letters}0123456789+/")
    return b64decode(hashed.rpartition("$")[2][:22].translate(own) + "==")


@pytest.mark.parametrize(
    ("password", "hashed"),
    [
        ("", "$2b$04$C4jZ/11YxPRUBdmh0ngiNOCh6HLylKNsJk2ZLNI3Bw1W72cOm0Xaa"),
        ("byline", "$2b$04$NjHWbkU1m9.HeCBdNwfOoekGTu9zZP5nw36EqRBk.AvHPI.Nr/3um"),
        ("x" * 71, "$2b$04$thV0bg7pew.6HOA5yfpYweonPtVq0FcCABfbx8BxflNt85uzQkEdy"),
        ("ümläut", "$2b$04$aF5QiSHk.dtgZtkch2qQ2OX30cmxWRL5fStaCqB00Ep8RLiAzISfi"),
    ],
)
def test_a_hash_equals_that_of_libxcrypt(password: str, hashed: str) -> None:
    assert bcrypt.hashed(password, salt_of(hashed)) == hashed


def test_each_hash_has_a_salt_of_its_own() -> None:
    first, second = (bcrypt.hashed("same") for _ in range(2))
    assert first != second
    assert salt_of(first) != salt_of(second)


def test_a_password_longer_than_71_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="first 71 bytes"):
        bcrypt.hashed("ü" * 36)
