"""Who looks at the console in these tests."""

from collections.abc import Iterator

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import MemberRole, OperatorRole, User
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.console import member_of, person, signed_in


@pytest.fixture(autouse=True)
def quick_passwords(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["tests.support.hashing.QuickArgon2PasswordHasher"]


@pytest.fixture
def olive(database: None) -> Iterator[User]:
    """An operator."""
    with person("olive", OperatorRole.OPERATOR) as user:
        yield user


@pytest.fixture
def cy(database: None) -> Iterator[User]:
    """A stranger: somebody with a password who is no operator."""
    with person("cy", None) as user:
        yield user


@pytest.fixture
def ada(acme: Tenant) -> Iterator[User]:
    """An owner of acme."""
    with member_of(acme, "ada", MemberRole.OWNER) as user:
        yield user


@pytest.fixture
def ben(acme: Tenant) -> Iterator[User]:
    """A member of acme who may only look."""
    with member_of(acme, "ben", MemberRole.VIEWER) as user:
        yield user


@pytest.fixture
def browser(olive: User) -> Client:
    return signed_in(olive)


@pytest.fixture
def books(acme: Tenant) -> Books:
    return Books(acme)
