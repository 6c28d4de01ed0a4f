"""A chat-completions server: our models under our methods, for whoever speaks that protocol."""
