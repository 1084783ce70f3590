"""Who there is in these tests."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from accounts.models import Invitation, User
from tests.support.owner import delete_shared


@pytest.fixture
def quick_passwords(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["tests.support.hashing.QuickArgon2PasswordHasher"]


@pytest.fixture
def nobody_left(database: None) -> Iterator[None]:
    """People and invitations of a test are gone after it."""
    yield
    delete_shared(Invitation.objects.all(), User.objects.filter(email__endswith="@example.test"))
