"""nbgrader's settings: where things lie, and that a TODO's stub names its number."""
from course.release import PREPROCESSORS

c = get_config()  # noqa: F821  (nbgrader provides it)

c.CourseDirectory.course_id = "tinyllm"
c.CourseDirectory.source_directory = "build/source"  # made by `python3 -m course build`
c.CourseDirectory.release_directory = "notebooks"
c.GenerateAssignment.preprocessors = PREPROCESSORS
c.Execute.timeout = 120  # seconds per cell
c.Execute.record_timing = False  # the same submission gives the same bytes
c.ClearOutput.enabled = True
