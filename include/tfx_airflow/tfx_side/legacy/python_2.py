"""What a legacy file that is written for Python 2 fails on."""

from __future__ import annotations

import re
import sys

_PYTHON = f"Python {sys.version_info[0]}.{sys.version_info[1]}"
_SYNTAX = re.compile(
    r"call to '(print|exec)'|multiple exception types must be parenthesized|leading zeros in decimal integer"
)
_MODULES = {
    "ConfigParser": "configparser",
    "Queue": "queue",
    "StringIO": "io",
    "__builtin__": "builtins",
    "cPickle": "pickle",
    "cStringIO": "io",
    "commands": "subprocess",
    "httplib": "http.client",
    "urllib2": "urllib.request",
    "urlparse": "urllib.parse",
}
_NAMES = {
    "basestring": "str",
    "execfile": "exec(open(...).read())",
    "long": "int",
    "raw_input": "input",
    "reduce": "functools.reduce",
    "unichr": "chr",
    "unicode": "str",
    "xrange": "range",
}
_METHODS = {
    "has_key": "key in mapping",
    "iteritems": ".items()",
    "iterkeys": ".keys()",
    "itervalues": ".values()",
}


def explain(error: BaseException) -> str:
    """What to write instead in Python 3, or what it cannot read; "" for another error."""
    if isinstance(error, SyntaxError):
        line = f"{_PYTHON} cannot read {(error.text or '').strip()!r}"
        if _SYNTAX.search(error.msg):
            return f"{line}, which is Python 2: rewrite the file, as 2to3 does."
        return f"{line}: {error.msg}."
    if isinstance(error, ModuleNotFoundError) and error.name in _MODULES:
        return f"{error.name!r} is a module of Python 2: it is {_MODULES[error.name]!r} now."
    if isinstance(error, NameError) and (found := re.search(r"name '(\w+)' is not defined", str(error))):
        heir = _NAMES.get(found[1])
        return f"{found[1]!r} is a name of Python 2: write {heir!r}." if heir else ""
    if isinstance(error, AttributeError) and (found := re.search(r"has no attribute '(\w+)'$", str(error))):
        heir = _METHODS.get(found[1])
        return f"'.{found[1]}()' is a method of Python 2: write {heir!r}." if heir else ""
    return ""
