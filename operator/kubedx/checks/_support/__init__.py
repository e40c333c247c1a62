"""Pure helpers that checks share: parsers of messages and the like."""
