"""A real JupyterLab on this machine's loopback, with settings of its own, and the notebooks in it."""
import json
import math
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import psutil
from playwright.sync_api import TimeoutError

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
         "--disable-component-update --disable-sync").split()
PATIENCE_S = 600  # until JupyterLab answers, a notebook is open or has run: a busy machine is slow

# JupyterLab's own settings: no news pop-up, and all cells on the page, not only those in view.
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
# Each kernel keeps its pieces beside its notebook. The text is the course's own: nothing is fetched.
STARTUP = "import os; os.environ['TINYLLM_PARTS'] = os.path.join(os.getcwd(), 'tiny_llm')\n"
WIDGET = "application/vnd.jupyter.widget-view+json"
CONTROLS = ".noUi-handle, select, input[type=text], input[type=checkbox]"
# The keys that change a control's value: a slider goes up (at its end, down); a text loses its last letter; a list must
# be opened first, for JupyterLab takes the arrow keys of a closed one to go to the next cell.
KEYS = """control => {
    if (control.type === "checkbox") return ["Space"];
    if (control.type === "text") return ["End", "Backspace"];
    if (control.tagName === "SELECT") return ["Space", control.selectedIndex ? "ArrowUp" : "ArrowDown", "Enter"];
    return [+control.ariaValueNow < +control.ariaValueMax ? "ArrowRight" : "ArrowLeft"];
}"""
# Does a cell show as many explorers as it should, each with a picture in which all images have arrived?
SHOWN = """([cell, count]) => {
    const node = document.querySelectorAll(".jp-Notebook .jp-Cell")[cell];
    const pictures = [...node.querySelectorAll(".jp-OutputArea-output .widget-vbox .widget-html-content")];
    return pictures.length === count && pictures.every(picture => picture.clientHeight && picture.firstElementChild
        && [...picture.querySelectorAll("img")].every(image => image.complete && image.naturalWidth));
}"""


class Server:
    """JupyterLab, serving the folder `root` until `stop()`."""

    def __init__(self, home, root, **variables):
        self.root, self.log = root, home / "log.txt"
        for name, settings in SETTINGS.items():
            path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(settings))
        startup = home / "ipython" / "profile_default" / "startup" / "00.py"
        startup.parent.mkdir(parents=True)
        startup.write_text(STARTUP)
        folders = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
                   "IPYTHONDIR": "ipython", "JUPYTERLAB_SETTINGS_DIR": "settings",
                   "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
        self.variables = {**os.environ, **{name: str(home / folder) for name, folder in folders.items()}, **variables}
        for _ in range(3):  # somebody else may take the free port first
            if self.start():
                return
        raise RuntimeError(f"JupyterLab did not start: {self.log.read_text()[-2000:]}")

    def start(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
                 "--ServerApp.port_retries=0", "--IdentityProvider.token=", f"--ServerApp.root_dir={self.root}",
                 "--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"],
                cwd=self.root, env=self.variables, stdout=log, stderr=subprocess.STDOUT)
        until = time.monotonic() + PATIENCE_S
        while self.process.poll() is None and time.monotonic() < until:
            try:
                urllib.request.urlopen(self.address + "/api", timeout=5).close()
                return True
            except OSError:
                time.sleep(0.2)
        self.stop()
        return False

    def memory(self):
        """The bytes of memory of the largest kernel."""
        kernels = [process for process in psutil.Process(self.process.pid).children(recursive=True)
                   if "ipykernel_launcher" in process.cmdline()]
        return max(kernel.memory_info().rss for kernel in kernels)

    def stop(self):
        """End the server and, with it, its kernels."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Window:
    """JupyterLab in a page of Chromium, with one notebook open at a time."""

    MODELS = "jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model)"
    IDLE = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"

    def __init__(self, browser, server):
        self.page = browser.new_page(viewport={"width": 1300, "height": 1400})
        self.page.set_default_timeout(1000 * PATIENCE_S)
        self.errors, self.foreign = [], []  # JavaScript's; what was asked of another host
        # What JupyterLab still wanted to know of a kernel when `close` ended it, it reports as errors, some time later.
        self.page.on("pageerror", lambda error: None if "Canceled future for " in str(error)
                     else self.errors.append(str(error)))
        self.page.on("request", lambda request: self.foreign.append(request.url) if request.url.startswith("http")
                     and not request.url.startswith(server.address + "/") else None)
        self.page.goto(f"{server.address}/lab/workspaces/{time.time_ns()}")
        self.page.wait_for_function("window.jupyterapp?.shell.currentWidget")
        # JupyterLab's body has no height and hides what overflows: axe would take all text for hidden, and skip it.
        self.page.add_style_tag(content="body { height: 100vh }")

    def open(self, path):
        """Open the notebook at `path`, relative to the server's root, in the light theme."""
        self.change_theme("JupyterLab Light")
        self.page.evaluate("async path => { await jupyterapp.commands.execute('docmanager:open', {path}) }", path)
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        self.page.wait_for_function(self.IDLE)  # the circle says so before there is a kernel, and a run would be lost

    def close(self):
        """End the notebook's kernel, and close it without saving."""
        self.page.evaluate("""async () => {
            const notebook = jupyterapp.shell.currentWidget;
            await notebook.sessionContext.shutdown();
            notebook.dispose();
        }""")
        self.errors, self.foreign = [], []

    def run_all(self):
        """Run all cells and wait until the last one has run and is shown."""
        self.start()
        self.finish()

    def start(self):
        """Begin to run all cells."""
        self.page.evaluate("() => { window.ran = false;"
                           "jupyterapp.commands.execute('notebook:run-all-cells').finally(() => window.ran = true) }")

    def finish(self):
        """Wait until the last cell has run and is shown."""
        self.page.wait_for_function("() => window.ran")
        self.page.wait_for_function(self.IDLE)

    def cell(self, number):
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number)

    def write(self, number, source):
        """Put the cursor into a cell and replace what stands there, as with the keyboard."""
        self.cell(number).locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(source)

    def run_cell(self, number):
        """Put the cursor into a cell, press Shift+Enter, and wait for the result: its outputs, as in `outputs`."""
        count = f"{self.MODELS}[{number}].executionCount"
        before = self.page.evaluate(count)
        self.cell(number).locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")
        self.page.wait_for_function(f"before => ![null, before].includes({count}) && {self.IDLE}", arg=before)
        return self.outputs()[number]

    def interrupt(self):
        """Press the square button above the notebook."""
        self.page.locator(".jp-NotebookPanel-toolbar [data-command='notebook:interrupt-kernel']").click()

    def outputs(self):
        """The outputs of each cell, as in the notebook's file; of pictures only that they are there."""
        return self.page.evaluate(
            f"""() => {self.MODELS}.map(model => (model.outputs?.toJSON() ?? []).map(output => output.data
                ? {{...output, data: Object.keys(output.data)}} : output))""")

    def explorers(self, cell, count):
        """The `count` explorers (boxes of controls and a picture) below a cell, once their pictures are there."""
        boxes = self.cell(cell).locator(".jp-OutputArea-output .widget-vbox")
        self.page.wait_for_function(SHOWN, arg=[cell, count])
        return boxes.all()

    def move_a_control(self, explorer):
        """Go through the controls of an explorer with the keyboard until one has changed the picture."""
        picture = explorer.locator(".widget-html-content")
        for control in explorer.locator(CONTROLS).all():
            before = picture.inner_html()
            control.focus()
            for key in control.evaluate(KEYS):
                self.page.keyboard.press(key)
            try:
                self.page.wait_for_function("([picture, before]) => picture.innerHTML !== before",
                                            arg=[picture.element_handle(), before], timeout=30_000)
                return
            except TimeoutError:
                continue
        raise AssertionError(f"no control changes the picture: {explorer.inner_text()[:300]}")

    def change_theme(self, theme):
        """Change the colours of JupyterLab."""
        self.page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
        self.page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=theme)
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")  # for a moment it lies over everything

    def screenshots(self, folder, name):
        """Pictures of the whole notebook, a screen each: <name>-01.png, ..."""
        folder.mkdir(parents=True, exist_ok=True)
        outer = self.page.locator(".jp-WindowedPanel-outer")
        outer.evaluate("outer => outer.scrollTop = 0")
        step = outer.evaluate("outer => outer.clientHeight") - 30
        end = outer.evaluate("""outer => [...outer.querySelectorAll(".jp-Cell")].at(-1).getBoundingClientRect().bottom
            - outer.getBoundingClientRect().top""")
        for number in range(math.ceil(end / step)):
            outer.evaluate(f"outer => outer.scrollTop = {number * step}")
            self.page.screenshot(path=folder / f"{name}-{number + 1:02}.png")
