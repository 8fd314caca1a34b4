"""What the desk costs: taking in, keeping, answering."""
