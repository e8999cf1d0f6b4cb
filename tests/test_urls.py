"""Addresses: a password is taken out of them, and given back."""

from __future__ import annotations

import pytest

from searchlab.runs.urls import shown, with_password_of, without_password

ADDRESSES = {
    "postgresql+psycopg://me:s%40cret@host:5432/db?sslmode=require": "postgresql+psycopg://me@host:5432/db?sslmode=require",
    "postgresql://me:s/c?r@t@host/db?name=a@b": "postgresql://me@host/db?name=a@b",
    "postgresql://me:secret@[::1]:5432/db": "postgresql://me@[::1]:5432/db",
    "postgresql:///db?user=me&password=secret&host=%2Ftmp": "postgresql:///db?user=me&host=%2Ftmp",
    "postgresql:///db?password=secret": "postgresql:///db",
    "https://me:secret@host:5000/a?b=1@2": "https://me@host:5000/a?b=1@2",
}


@pytest.mark.parametrize("url", ADDRESSES)
def test_a_password_is_taken_out_of_an_address_and_given_back(url):
    bare = ADDRESSES[url]
    assert without_password(url) == bare
    assert with_password_of(bare, url) == url
    assert without_password(bare) == bare
    assert without_password(shown(url)) == bare
    assert with_password_of(bare, None) == bare
    assert with_password_of(bare, url.replace("host", "other").replace("db", "other")) == bare


@pytest.mark.parametrize(
    "url",
    ["sqlite:////home/me:x@y/study.db", "sqlite:///a?b=%20", "http://host:5000/a@b", "/a/b:c@d", "postgresql://h:1/db"],
)
def test_an_address_without_a_password_is_left_as_it_is(url):
    assert without_password(url) == shown(url) == with_password_of(url, None) == url
