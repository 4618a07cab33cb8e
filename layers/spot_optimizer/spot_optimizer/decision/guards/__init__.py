"""What stands between a decision and its switch. Pure: state in, state out."""
