"""URLs of servers: their password is removed, masked and restored."""

from __future__ import annotations

import pytest

from searchlab.runs.urls import mask_password, web_credentials, with_password_from, without_password

URLS = {
    "postgresql+psycopg://me:s%40cret@host:5432/db?sslmode=require": "postgresql+psycopg://me@host:5432/db?sslmode=require",
    "postgresql://me:s/c?r@t@host/db?name=a@b": "postgresql://me@host/db?name=a@b",
    "postgresql://me:secret@[::1]:5432/db": "postgresql://me@[::1]:5432/db",
    "postgresql:///db?user=me&password=secret&host=%2Ftmp": "postgresql:///db?user=me&host=%2Ftmp",
    "postgresql:///db?password=secret": "postgresql:///db",
    "postgresql://me@host/db?password=secret": "postgresql://me@host/db",
    "postgresql://me:a/b@host/db": "postgresql://me@host/db",
    "postgresql://me:sec:r%2Fet#x@host/db?sslmode=require&passwd=y&application_name=z": (
        "postgresql://me@host/db?sslmode=require&application_name=z"
    ),
    "https://me:secret@host:5000/a?b=1@2": "https://host:5000/a?b=1@2",
    "http://token@host:5000": "http://host:5000",
}


@pytest.mark.parametrize("url", URLS)
def test_a_password_is_removed_and_restored(url):
    bare = URLS[url]
    assert without_password(url) == bare
    assert with_password_from(bare, url) == url
    assert without_password(bare) == bare
    assert without_password(mask_password(url)) == bare
    assert with_password_from(bare, None) == bare
    assert with_password_from(bare, url.replace("host", "other").replace("db", "other")) == bare


def test_the_credentials_of_a_web_address_are_returned_decoded():
    assert web_credentials("https://me:s%40cret@host:5000/a") == ("me", "s@cret")
    assert web_credentials("http://token@host") == ("token", "")
    assert web_credentials("http://host/a@b:c") == web_credentials("postgresql://me:secret@host/db") == ("", "")


def test_an_address_stored_with_its_user_gets_its_password_too():
    """As sweeps of earlier versions have it."""
    assert with_password_from("http://me@host", "http://me:secret@host") == "http://me:secret@host"


@pytest.mark.parametrize(
    "url",
    ["sqlite:////home/me:x@y/study.db", "sqlite:///a?b=%20", "http://host:5000/a@b", "/a/b:c@d", "postgresql://h:1/db"],
)
def test_a_url_without_a_password_does_not_change(url):
    assert without_password(url) == mask_password(url) == with_password_from(url, None) == url
