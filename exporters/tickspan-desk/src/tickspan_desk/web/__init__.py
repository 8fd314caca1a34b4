"""The desk's pages and their JSON, behind one guarded door."""
