"""What a database's own catalog tells: tables, columns, indexes, statistics, and the statements it ran."""
