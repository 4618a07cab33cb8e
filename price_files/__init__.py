"""Price files as people have them: any of the common formats, spellings and zone notations."""
