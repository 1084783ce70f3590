"""Argon2 with the least work: tests sign in often, and what they prove does not hang on its cost."""

from typing import ClassVar

from django.contrib.auth.hashers import Argon2PasswordHasher


class QuickArgon2PasswordHasher(Argon2PasswordHasher):
    time_cost = 1
    memory_cost = 64
    parallelism = 1


class CountingHasher(QuickArgon2PasswordHasher):
    """Counts the hashes that are spent, which is what an attacker could measure."""

    count: ClassVar[int] = 0

    def encode(self, password: str, salt: str) -> str:
        type(self).count += 1
        return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        type(self).count += 1
        return super().verify(password, encoded)
