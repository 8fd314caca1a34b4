"""What is found in the queries of an application: its databases are asked here, by connections of our own."""
