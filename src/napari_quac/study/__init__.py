"""Human studies: rating and measuring without knowing the classes, and the statistics of both."""
