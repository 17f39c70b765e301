"""Checks a report's page with axe-core in headless Chromium, light and dark.

    npm pack axe-core@4.10.3 && tar xzf axe-core-4.10.3.tgz package/axe.min.js
    python tests/page/accessibility.py reports/unfreeze/index.html package/axe.min.js

Needs `chromium` on the path and nothing else; works on a copy of the page and requests nothing. Prints each violation
with the elements that have it, and exits with 1 where there is any, with 2 where the check itself did not run.
"""

import html
import json
import pathlib
import re
import subprocess
import sys
import tempfile

# What Chromium's setting `preferredColorScheme` calls them.
SCHEMES = {"light": 1, "dark": 0}

PROBE = """<script>%s</script><script>
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
for (const closed of document.querySelectorAll("details")) closed.open = true;
axe.run().then((found) => {
  const result = document.createElement("pre");
  result.id = "axe-result";
  result.textContent = JSON.stringify({ dark, passes: found.passes.length, violations: found.violations.map((one) => ({
    id: one.id, impact: one.impact, help: one.help, nodes: one.nodes.map((node) => node.html.slice(0, 200)) })) });
  document.body.append(result);
});
</script></body>"""


def check(page: str, axe: str, scheme: str) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder, "page.html")
        copy.write_text(page.replace("</body>", PROBE % axe.replace("</script", "<\\/script")), encoding="utf-8")
        command = [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            f"--user-data-dir={folder}/profile", f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
            "--virtual-time-budget=60000", "--dump-dom", copy.as_uri(),
        ]
        dom = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False).stdout
    found = re.search(r'<pre id="axe-result">(.*?)</pre>', dom, re.S)
    if found is None:
        raise SystemExit(2)
    return json.loads(html.unescape(found.group(1)))


def main() -> int:
    page, axe = (pathlib.Path(path).read_text(encoding="utf-8") for path in sys.argv[1:3])
    count = 0
    for scheme in SCHEMES:
        result = check(page, axe, scheme)
        if result["dark"] != (scheme == "dark"):
            print(f"{scheme}: Chromium did not take this colour scheme")
            return 2
        count += len(result["violations"])
        print(f"{scheme}: {len(result['violations'])} violations, {result['passes']} rules passed")
        for violation in result["violations"]:
            print(f"  {violation['id']} ({violation['impact']}): {violation['help']}")
            for node in violation["nodes"][:5]:
                print(f"    {node}")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
