"""Answers of `/customer/*`."""

from __future__ import annotations

from pydantic import BaseModel

from routeiq.control.management.described.common import BudgetInfo


class CustomerInfo(BaseModel):
    """A customer."""

    user_id: str
    alias: str | None
    blocked: bool
    spend: float
    models: list[str]
    budget_id: str | None
    litellm_budget_table: BudgetInfo | None


class CustomersDeleted(BaseModel):
    """`/customer/delete`."""

    deleted_customers: int
    message: str


class CustomersBlocked(BaseModel):
    """`/customer/block`."""

    blocked_users: list[CustomerInfo]


class CustomersUnblocked(BaseModel):
    """`/customer/unblock`."""

    unblocked_users: list[CustomerInfo]
