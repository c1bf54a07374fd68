"""The tables of the database, one module each: plain functions on a connection.

They run inside a transaction of :class:`~config_manager.store.Store`; none commits.
"""
