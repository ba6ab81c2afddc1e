"""nbgrader's settings: where things lie, that a TODO's stub names its number, and that grading is safe."""
from nbgrader.preprocessors import AssignLatePenalties, CheckCellMetadata, SaveAutoGrades

from course.grade import gradebook  # noqa: F401  opens SQLite so that readers and a writer do not wait
from course.grade.feedback import FeedbackPage
from course.grade.steps import RunSandboxed, StrictScores, Transplant
from course.stubs import PREPROCESSORS

c = get_config()  # noqa: F821  (nbgrader provides it)

c.CourseDirectory.course_id = "tinyllm"
c.CourseDirectory.source_directory = "build/source"  # made by `python3 -m course build`
c.CourseDirectory.release_directory = "notebooks"
c.GenerateAssignment.preprocessors = PREPROCESSORS
c.CourseDirectory.submitted_directory = "grading/submitted"
c.CourseDirectory.autograded_directory = "grading/autograded"
c.CourseDirectory.feedback_directory = "grading/feedback"
c.CourseDirectory.include = ["*.ipynb"]  # nothing else of a submission is copied anywhere
c.Autograde.sanitize_preprocessors = [Transplant]
c.Autograde.autograde_preprocessors = [
    RunSandboxed, StrictScores, SaveAutoGrades, AssignLatePenalties, CheckCellMetadata]
c.GenerateFeedback.exporter_class = FeedbackPage
c.GenerateFeedback.preprocessors = []
c.ClearOutput.enabled = True
