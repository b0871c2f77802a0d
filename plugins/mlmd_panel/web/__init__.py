"""The panel on the web: routes, views, pages."""
