"""Experiments on live traffic: shadow tests and A/B tests, from the endpoint's variants to what their outcomes say."""
