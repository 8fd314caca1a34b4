"""What must be asked of each library's pools so that they can be governed."""
