"""History for Grafana, in the words of its JSON data source; docs/guides/grafana.md says how to use it."""
