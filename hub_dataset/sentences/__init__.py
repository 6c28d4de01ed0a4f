"""Grammatical English for training: sentences, paraphrases and dialogues from a lexicon and templates of our own."""

# Whose words a text takes: one everyday scene's, several such scenes', several technical fields'.
VOCABULARIES = ("everyday", "mixed", "technical")

__all__ = ["VOCABULARIES"]
