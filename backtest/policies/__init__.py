"""Policies: where a run goes each hour."""
