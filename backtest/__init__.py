"""What each policy would have done on recorded prices; never shipped."""
