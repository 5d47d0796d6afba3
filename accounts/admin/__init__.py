"""How staff see people: users and roles, buyers, keys, and the log of what staff changed."""

from accounts.admin import audit, factors, keys
from accounts.admin.users import BuyerAdmin

__all__ = ["BuyerAdmin", "audit", "factors", "keys"]
