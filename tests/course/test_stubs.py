"""A solution region becomes the stub that names its TODO."""
from course.stubs import clear

CELL = '''class A:
    def f(self):
        # TODO 10: say one
        ### BEGIN SOLUTION 10
        return 1
        ### END SOLUTION

    def g(self):
        ### BEGIN SOLUTION 11
        return 2
        ### END SOLUTION
'''


def test_each_region_leaves_its_own_number():
    stubs = clear(CELL)
    assert '        # TODO 10: say one\n        raise NotImplementedError("TODO 10")\n' in stubs
    assert '    def g(self):\n        raise NotImplementedError("TODO 11")\n' in stubs
    assert "return" not in stubs and "SOLUTION" not in stubs


def test_some_todos_can_stay_solved():
    half = clear(CELL, keep={11})
    assert 'raise NotImplementedError("TODO 10")' in half and "        return 2\n" in half and "SOLUTION" not in half
