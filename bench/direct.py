"""HTTP to what a load test has started: no proxy of the environment leads there."""

from urllib.request import ProxyHandler, build_opener

DIRECT = build_opener(ProxyHandler({}))
