"""The manager's database: the one door to SQLAlchemy and Alembic."""
