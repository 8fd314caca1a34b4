"""Client libraries that trade at the simulated venue by the lot, whatever goes wrong there."""
