"""End users: whom a request is for, as the client names them."""

from __future__ import annotations

from collections.abc import Iterable

from routeiq.core.errors import Forbidden
from routeiq.core.keys import EndUser
from routeiq.governance.accounts import LimitBook, Parties
from routeiq.governance.asked import Asked
from routeiq.governance.directory import Directory
from routeiq.governance.keys import allows_through


class Customer:
    """An end user with its accounts."""

    __slots__ = ("end_user", "parties")

    def __init__(self, end_user: EndUser, book: LimitBook) -> None:
        self.end_user = end_user
        self.parties = Parties(book.account(subject) for subject in end_user.subjects if subject.limited)

    def check(self, model: str, auto: str = "") -> None:
        """Raise when it is blocked, or may not use this public model, which an auto model may have chosen."""
        end_user = self.end_user
        if end_user.blocked:
            raise Forbidden(f"The end user '{end_user.id[:100]}' is blocked.", code="end_user_blocked")
        for rule in end_user.rules:
            if not allows_through((rule,), model, auto or model):
                raise Forbidden(
                    f"The end user '{end_user.id[:100]}' may not use the model '{model[:200]}'.",
                    type="customer_model_access_denied",
                    code="model_access_denied",
                    param="model",
                )

    @property
    def fresh(self) -> bool:
        """Whether all that is counted for it is still counted where it was."""
        return all(account.fresh for account in (*self.parties.accounts, *self.parties.shares))


class Customers:
    """End users somebody has limited, by their id."""

    def __init__(self, book: LimitBook, directory: Directory) -> None:
        self._book = book
        self._directory = directory
        self.asked: Asked[str, Customer] = Asked(
            self._ask, lambda customer: customer.fresh, "The end user can't be checked right now."
        )

    def forget(self, subjects: Iterable[str]) -> None:
        """Forget these (`Subject.name`), found or not; all where there are none."""
        names = tuple(subjects)
        if names:
            self.asked.forget(name.removeprefix("end_user:") for name in names if name.startswith("end_user:"))
        else:
            self.asked.clear()

    async def _ask(self, id: str) -> Customer | None:
        found = await self._directory.end_user(id)
        return Customer(found, self._book) if found is not None else None
