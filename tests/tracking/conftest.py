"""New stores of these tests are copies of a database that was migrated once."""

from tests.migrated_store import _stores_are_copies, migrated_database

__all__ = ["_stores_are_copies", "migrated_database"]
