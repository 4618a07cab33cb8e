"""The decision cycle: observe, refresh templates, enroll, judge, record, act."""
