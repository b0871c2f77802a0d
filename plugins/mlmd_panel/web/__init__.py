"""The web application: routes, views and pages."""
