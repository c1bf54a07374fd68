"""Who may do what. The list is a file that the operator's command writes as well."""

from parlour_config.users import (
    RANK,
    Role,
    UnknownUserError,
    User,
    UsersError,
    UsersFile,
)

__all__ = ["RANK", "Role", "UnknownUserError", "User", "Users", "UsersError", "UsersFile"]

Users = UsersFile
