"""Who decides where a run goes each hour."""
