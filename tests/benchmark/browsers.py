"""The browser that tests of pages are run in."""

import shutil

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
