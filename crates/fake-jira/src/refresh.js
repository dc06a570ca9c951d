// Refreshes a page and keeps the focus, the scroll position and what is being typed. Without scripts the page's own
// refresh element reloads the page.
"use strict";
(() => {
  const every = Number(document.body.dataset.refresh) * 1000;
  if (!every) return;
  const away = document.getElementById("away");

  // Do not refresh while the reader types or selects text.
  const busy = () => {
    const field = document.activeElement;
    const typing = field && "defaultValue" in field && field.type !== "hidden" && field.value !== field.defaultValue;
    return document.hidden || typing || !getSelection().isCollapsed;
  };

  // Returns a function that finds the focused element again after the content was replaced.
  const place = () => {
    const at = document.activeElement;
    if (!at || at === document.body) return () => null;
    if (at.id) return () => document.getElementById(at.id);
    const to = at.getAttribute("href");
    const same = () => [...document.links].filter((link) => link.getAttribute("href") === to);
    const nth = same().indexOf(at);
    return () => (nth < 0 ? null : same()[nth]);
  };

  const refresh = async () => {
    if (busy()) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(every) });
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (busy()) return;
      const again = place();
      for (const part of ["main", "#as-of"]) {
        document.querySelector(part).replaceWith(fresh.querySelector(part));
      }
      document.title = fresh.title;
      again()?.focus({ preventScroll: true });
      away.hidden = true;
    } catch {
      away.hidden = false;
    }
  };
  setInterval(refresh, every);
})();
