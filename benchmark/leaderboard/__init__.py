"""A run as others may see it: an entry of the leaderboard, and the files that go to the Hub with it."""
