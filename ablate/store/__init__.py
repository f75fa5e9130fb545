"""What is kept: the database. The one owner of SQLAlchemy."""
