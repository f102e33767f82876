"""Which methods of a client answered, told without changing the client: it is asked through a stand-in that counts."""


class Recorded:
    """Stands for an object of a client. Attributes that `is_part` knows are stood for in turn; other callables are called,
    and their names, `load_balancers.monitors.create`, are added to `answered` when they return."""

    def __init__(self, inner, is_part, answered, name=""):
        self._inner, self._is_part, self._answered, self._name = inner, is_part, answered, name

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        path = f"{self._name}.{name}".lstrip(".")
        if self._is_part(found):
            return Recorded(found, self._is_part, self._answered, path)
        if not callable(found):
            return found

        def called(*positional, **named):
            answer = found(*positional, **named)
            self._answered.add(path)
            return answer

        return called


def all_answered(methods, answered):
    """Fails where a method of the client was never called with success."""
    missing = sorted(set(methods) - answered)
    assert methods, "the client has no methods: its inside is not as it was"
    assert not missing, f"never called with success: {', '.join(missing)}"
