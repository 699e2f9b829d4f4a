"""What a browser can find wrong with the pages of the course site."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Everything that can be wrong with the page as it stands, as "kind: what", with its links and its anchors.
INSPECT = r"""
() => {
  const found = [], short = what => String(what).replace(/\s+/g, ' ').trim().slice(0, 90);
  const say = (kind, what) => found.push(kind + ': ' + short(what));
  for (const formula of document.querySelectorAll('.math'))
    if (!formula.querySelector('mjx-container svg')) say('maths', 'not rendered: ' + formula.textContent);
  for (const formula of document.querySelectorAll('mjx-container'))
    if (formula.querySelector('[data-mml-node=merror], [fill=red], [stroke=red]')) say('maths', 'an error in ' +
      (formula.querySelector('[data-mjx-error]')?.dataset.mjxError || formula.textContent));
  const text = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (text.nextNode()) {
    const data = text.currentNode.data;
    if (text.currentNode.parentElement.closest('pre, code, script, style, mjx-container, textarea')) continue;
    if (/\$\$|\\[(\[]|\\[a-zA-Z]{2,}|\$[^$\s][^$]*\$/.test(data)) say('maths', 'raw: ' + data);
    if (/:::|```|@\{|\{\w+\}`|\]\(|\*\*[^*]+\*\*|^#+ /.test(data)) say('markup', 'raw: ' + data);
  }
  for (const image of document.querySelectorAll('img')) {
    const alt = (image.getAttribute('alt') || '').trim();
    if (image.closest('[hidden], dialog') === null && image.complete && image.naturalWidth === 0)
      say('broken image', image.getAttribute('src'));
    if (!alt || /\.(png|svg|jpe?g)$/.test(alt)) say('alt', image.getAttribute('src'));
  }
  for (const cell of document.querySelectorAll('.tag_solution'))
    if (!cell.querySelector('details:not([open]) .cell_input')) say('solution', 'not folded: ' + cell.textContent);
  return {
    found,
    links: [...document.querySelectorAll('a[href]')].map(a => a.href),
    anchors: [...document.querySelectorAll('[id], a[name]')].map(e => e.id || e.name),
  };
}
"""


class Walk:
    """Opens pages under one address, and keeps what is wrong with them."""

    def __init__(self, page, home: str):
        self.page, self.home, self.noise = page, home, []
        self.links, self.anchors = {}, {}
        page.on(
            "console", lambda message: self.noise.append(f"console: {message.text}") if message.type == "error" else 0
        )
        page.on("pageerror", lambda error: self.noise.append(f"console: {error}"))
        page.on("response", self.answered)
        page.route("**/*", self.asked)

    def asked(self, route):
        if route.request.url.startswith((self.home, "data:", "blob:")):
            route.continue_()
        else:
            self.noise.append(f"outside: {route.request.url}")
            route.abort()

    def answered(self, response):
        if response.status >= 400:
            self.noise.append(f"not there: {response.url.removeprefix(self.home)}")

    def look(self, name: str) -> list[str]:
        """What is wrong with a page, its links aside: those are judged when all pages are known."""
        self.noise.clear()
        self.page.goto(self.home + name)
        self.page.evaluate("() => window.MathJax?.startup?.promise")
        seen = self.page.evaluate(INSPECT)
        self.links[name], self.anchors[name] = set(seen["links"]), set(seen["anchors"])
        self.page.set_viewport_size({"width": 390, "height": 844})
        if (wide := self.page.evaluate("() => document.documentElement.scrollWidth")) > 390:
            seen["found"].append(f"wide: {wide} px on a phone")
        self.page.set_viewport_size({"width": 1280, "height": 900})
        return sorted({*seen["found"], *self.noise})

    def dead_ends(self, folder: Path) -> list[str]:
        """Links to files that are not in ``folder``, and to anchors that no walked page has."""
        found = []
        for name, links in self.links.items():
            for link in sorted(link for link in links if link.startswith(self.home)):
                parts = urlsplit(link)
                target = unquote(parts.path).lstrip("/") or "index.html"
                anchor = unquote(parts.fragment)
                if not (folder / target).is_file():
                    found.append(f"link: {name} → {target}")
                elif anchor and target in self.anchors and anchor not in self.anchors[target]:
                    found.append(f"anchor: {name} → {target}#{anchor}")
        return found


def unfold(page) -> list[str]:
    """What is wrong with the first solution of the page in view: it should be folded, and open on a click."""
    fold = page.locator("details:has(.cell_input)").first
    code = fold.locator(".cell_input").first
    if code.is_visible():
        return ["the solution is shown"]
    fold.locator("summary").click()
    return [] if code.is_visible() and len(code.inner_text()) > 20 else ["the solution does not open"]


def search(page, home: str, word: str) -> list[str]:
    """The addresses that a search for ``word`` finds."""
    page.goto(f"{home}search.html?q={word}")
    page.wait_for_function("() => /finished|did not match|found/i.test(document.querySelector('#search-results p')"
                           "?.textContent || '')", timeout=15_000)  # fmt: skip
    return page.evaluate("() => [...document.querySelectorAll('#search-results li a')].map(a => a.href)")


def ground(page) -> tuple[int, ...]:
    colour = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    return tuple(int(float(part)) for part in re.findall(r"[\d.]+", colour)[:3])


def darken(page) -> list[str]:
    """What is wrong with the switch between light and dark."""
    page.locator(".theme-switch-button:visible").first.click()
    page.locator(".theme-change-button[data-mode=dark]:visible").first.click()
    dark = ground(page)
    ink = page.evaluate("() => getComputedStyle(document.querySelector('h1')).color")
    ink = [int(float(part)) for part in re.findall(r"[\d.]+", ink)[:3]]
    return [] if max(dark) < 80 and min(ink) > 150 else [f"dark is not dark: ground {dark}, ink {ink}"]
