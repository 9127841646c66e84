"""What is kept: tables, migrations, repositories."""
